"""Write deploy/requirements.txt: the packages of the image with their versions and hashes.

    python scripts/lock.py

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
HEAD = "# Written by `make lock`: the packages of the image, without torch. Do not edit.\n"


def main() -> None:
    """Resolve for all Pythons and platforms that we support, and write the file."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    pinned = ["--constraint", "constraints.txt", "--generate-hashes", "--no-header", "--no-annotate"]
    command = [
        UV,
        "pip",
        "compile",
        "--quiet",
        "pyproject.toml",
        *extras,
        *pinned,
        "--universal",
        "--python-version",
        "3.11",
    ]
    resolved = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    packages = re.split(r"^(?=\S)", resolved, flags=re.MULTILINE)
    kept = [package for package in packages if package and not LEFT_OUT.match(package)]
    (ROOT / "deploy" / "requirements.txt").write_text(HEAD + "".join(kept))


if __name__ == "__main__":
    main()
