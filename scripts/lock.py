"""Write the packages of the image with their versions and hashes.

    python scripts/lock.py

deploy/uv.txt has what installs the packages, deploy/requirements.txt has them.

Versions are those of constraints.txt. Left out are torch, whose build for CPUs comes from an index of its own, and the
libraries for GPUs that its other builds need.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = ROOT / ".venv" / "bin" / "uv"
EXTRAS = ("kafka", "postgres", "drift", "oidc")
LEFT_OUT = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+|httpx2-jsfetch)==")  # the last is for browsers
HEAD = "# Written by `make lock`: {content}. Do not edit.\n"


def main() -> None:
    """Resolve for all Pythons and platforms that we support, and write the files."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    packages = re.split(r"^(?=\S)", resolved("pyproject.toml", *extras), flags=re.MULTILINE)
    kept = [package for package in packages if package and not LEFT_OUT.match(package)]
    write("requirements.txt", "the packages of the image, without torch", "".join(kept))
    write("uv.txt", "what installs the packages of the image", resolved("-", requirements="uv"))


def resolved(source: str, *options: str, requirements: str = "") -> str:
    """The packages that a file requires, `-` for `requirements`; with hashes, at the versions of constraints.txt."""
    pinned = ["--constraint", "constraints.txt", "--generate-hashes", "--no-header", "--no-annotate"]
    command = [UV, "pip", "compile", "--quiet", source, *options, *pinned, "--universal", "--python-version", "3.11"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, input=requirements)
    return done.stdout


def write(name: str, content: str, packages: str) -> None:
    """Write a file of deploy/."""
    (ROOT / "deploy" / name).write_text(HEAD.format(content=content) + packages)


if __name__ == "__main__":
    main()
