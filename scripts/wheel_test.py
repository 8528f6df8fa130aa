"""Builds the wheel and tries it in an empty environment, from an empty folder.

    python scripts/wheel_test.py [--torch-index URL] [--demo]

Checks that the wheel holds every tracked file of our packages and nothing else, that the console script works, and
that a first model is trained and served. `--demo` runs `tidewise demo --exit` too (two minutes). Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = ROOT / ".venv" / "bin" / "uv"
PACKAGES = ("core", "index", "model", "serving", "storage", "stream", "tidewise")
SMALL = ["--set", "model.width=16", "--set", "model.layers=1", "--set", "model.text_dim=16"]
ONE_EPOCH = ["--set", "train.epochs=1", *SMALL]
NUM_USERS, NUM_ITEMS, EVENTS_PER_USER = 20, 30, 15
START_MS, GAP_MS = 1_710_000_000_000, 60_000
TIMEOUT_S = 300


def main() -> int:
    """Build, compare, install, run; the exit code."""
    parser = argparse.ArgumentParser(description="Build the wheel and try it in an empty environment.")
    parser.add_argument("--torch-index", default="", help="a package index with CPU-only wheels of torch")
    parser.add_argument("--demo", action="store_true", help="run the demo too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidewise-wheel-") as name:
        folder = Path(name)
        run(UV, "build", "--quiet", "--out-dir", folder / "dist", ROOT)
        [wheel] = (folder / "dist").glob("*.whl")
        check_files(wheel)
        bin_folder = install(wheel, folder / "environment", torch_index=options.torch_index)
        (folder / "work").mkdir()
        try_commands(bin_folder / "tidewise", folder / "work", demo=options.demo)
    say(f"{wheel.name} installs and runs")
    return 0


def check_files(wheel: Path) -> None:
    """Compare the wheel with the repository; exits where they differ."""
    command = ["git", "ls-files", *PACKAGES]
    tracked = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    expected = set(tracked.stdout.split())
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    if packed != expected:
        missing, unexpected = sorted(expected - packed), sorted(packed - expected)
        sys.exit(f"{wheel.name}: missing {missing}, unexpected {unexpected}; see [tool.setuptools] in pyproject.toml")


def install(wheel: Path, environment: Path, *, torch_index: str) -> Path:
    """Install the wheel into a new environment; the folder of its programs."""
    python = environment / "bin" / "python"
    run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    pip = [UV, "pip", "install", "--quiet", "--python", python, "--constraint", ROOT / "constraints.txt"]
    if torch_index:
        run(*pip, "--index-url", torch_index, "torch")
    run(*pip, f"{wheel}[drift]")
    return environment / "bin"


def try_commands(tidewise: Path, folder: Path, *, demo: bool) -> None:
    """Import, train and serve, as a new user would; exits where something is wrong."""
    run(tidewise, "--version", cwd=folder)
    (folder / "events.csv").write_text(events())
    run(tidewise, "import", "--events", "events.csv", "--columns", "user,item,time", cwd=folder)
    run(tidewise, "train", "--force", *ONE_EPOCH, "--set", "items.catalogue=none", cwd=folder)
    with serving(tidewise, folder) as url:
        page = fetch(f"{url}/")
        answer = json.loads(fetch(f"{url}/v1/users/user-0/recommendations"))
    if "<title>" not in page or answer["source"] != "model":
        sys.exit(f"wanted a page and an answer of the model, got {page[:200]} and {answer}")
    if demo:
        run(tidewise, "demo", "--exit", "--port", "0", *ONE_EPOCH, cwd=folder)


def events() -> str:
    """A small log: each user walks through the items in order."""
    rows = [
        f"user-{user},item-{(user + step) % NUM_ITEMS},{START_MS + (step * NUM_USERS + user) * GAP_MS}"
        for step in range(EVENTS_PER_USER)
        for user in range(NUM_USERS)
    ]
    return "\n".join(["user,item,time", *rows])


class serving:
    """`tidewise up` on a free port, for a `with` block; gives its address."""

    def __init__(self, tidewise: Path, folder: Path) -> None:
        command = [tidewise, "up", "--port", "0", "--no-train", "--set", "items.catalogue=none"]
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> str:
        assert self._process.stderr is not None
        log = []
        for line in self._process.stderr:
            log.append(line)
            if announced := re.search(r"http://\S+", line):
                return announced[0]
        sys.exit(f"`tidewise up` ended before it answered:\n{''.join(log)}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=TIMEOUT_S)


def fetch(url: str) -> str:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 - our own server
        return str(response.read().decode())


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a program to its end; its errors are ours."""
    say(" ".join(str(word) for word in command))
    subprocess.run(command, cwd=cwd, env=environment(), check=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)


def environment() -> dict[str, str]:
    """The environment without what would reach into ours."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("TIDEWISE_", "PYTHON", "VIRTUAL"))
    }


def say(line: str) -> None:
    """For people."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
