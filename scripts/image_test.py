"""Runs the steps of the Dockerfile in an empty folder, without a container engine, and tries the result.

    python scripts/image_test.py [--torch-index URL] [--steps]

Both stages share one folder in the place of `/`, so what the second copies from the first is there already. Steps that
change the system (packages, users) are left out and named. Packages come from uv's cache where it has them. `--steps`
prints the steps and runs none. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wheel_test import ROOT, environment, say, try_commands

FOLDERS = re.compile(r"(?<![\w.$-])/(opt|src|var/lib/tidewise)\b")
OF_THE_SYSTEM = ("apt-get", "groupadd")
STEP_TIMEOUT_S = 1800
WITHOUT_CACHE = "UV_NO_CACHE"


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction of the Dockerfile: its name, as `RUN`, and what follows."""

    instruction: str
    text: str


def main() -> int:
    """Perform the steps; the exit code."""
    parser = argparse.ArgumentParser(description="Run the steps of the Dockerfile in an empty folder.")
    parser.add_argument("--torch-index", default="", help="a package index with CPU-only wheels of torch")
    parser.add_argument("--steps", action="store_true", help="print the steps and run none")
    options = parser.parse_args()
    steps = read_steps((ROOT / "Dockerfile").read_text("utf-8"))
    if options.steps:
        say("\n".join(f"{step.instruction} {step.text}" for step in steps))
        return 0
    with tempfile.TemporaryDirectory(prefix="tidewise-image-") as name:
        image = Image(Path(name), torch_index=options.torch_index)
        for step in steps:
            image.perform(step)
        image.try_it()
    say("the steps of the Dockerfile work, and what they make runs")
    return 0


def read_steps(text: str) -> list[Step]:
    """The instructions in their order, without comments, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


class Image:
    """A folder in the place of `/`, and the variables of the image."""

    def __init__(self, root: Path, *, torch_index: str) -> None:
        self.root = root
        self.torch_index = torch_index
        self.variables: dict[str, str] = {}
        self.folder = root
        self.command: list[str] = []

    def perform(self, step: Step) -> None:
        """Perform one step; exits where it fails."""
        say(f"{step.instruction} {step.text}")
        match step.instruction:
            case "WORKDIR":
                self.folder = Path(self.here(step.text))
                self.folder.mkdir(parents=True, exist_ok=True)
            case "COPY":
                self.copy(step.text.split())
            case "ENV":
                for word in shlex.split(step.text):
                    name, _, value = word.partition("=")
                    self.variables[name] = self.here(value).replace("$PATH", os.environ["PATH"])
            case "RUN":
                self.run(step.text)
            case "ENTRYPOINT":
                self.command = re.findall(r'"([^"]+)"', step.text)
            case "FROM" | "ARG" | "USER" | "VOLUME" | "CMD":
                pass
            case _:
                sys.exit(f"no way to perform {step.instruction}; teach it to scripts/image_test.py")

    def here(self, text: str) -> str:
        """A text with the image's folders moved below ours."""
        return FOLDERS.sub(lambda folder: f"{self.root}{folder[0]}", text)

    def copy(self, words: list[str]) -> None:
        """Copy files of the repository into the working folder; from the stage before, check that they are there."""
        *sources, target = [word for word in words if not word.startswith("--")]
        if words[0].startswith("--from="):
            if not all(Path(self.here(source)).exists() for source in sources) or sources != [target]:
                sys.exit(f"COPY {' '.join(words)}: not made by the stage before, or moved")
            return
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, self.folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, self.folder / target)

    def run(self, text: str) -> None:
        """Run a line of the shell in the working folder."""
        if text.startswith(OF_THE_SYSTEM):
            say("  left out: it changes the system")
            return
        line = self.here(text).replace(" --compile-bytecode", "")  # minutes, and nothing that could be wrong
        if not self.torch_index:  # torch of the default index needs the libraries for GPUs
            line = re.sub(r'--no-deps (.*?)--index-url "\$TORCH_INDEX" ', r"\1", line, count=1)
        variables = environment() | self.variables | {"TORCH_INDEX": self.torch_index}
        variables.pop(WITHOUT_CACHE, None)
        command = ["/bin/sh", "-euc", line]
        subprocess.run(command, cwd=self.folder, env=variables, check=True, timeout=STEP_TIMEOUT_S)

    def try_it(self) -> None:
        """Run the entry point: every role starts far enough to name its options, and a model is trained and served."""
        [program] = self.command
        tidewise = shutil.which(program, path=self.variables["PATH"])
        if tidewise is None or not tidewise.startswith(str(self.root)):
            sys.exit(f"wanted {program} of the image, got {tidewise}")
        python = Path(tidewise).with_name("python")
        subprocess.run([python, "-c", "import faust, kafka, psycopg, river, uvloop"], env=environment(), check=True)
        work = self.root / "work"
        work.mkdir()
        try_commands(Path(tidewise), work, demo=False)


if __name__ == "__main__":
    sys.exit(main())
