"""How a process begins: which command lines serve."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tidewise import __version__
from tidewise.cli import app
from tidewise.entry import serves


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("tidewise worker --data x", True),
        ("tidewise -v serve", True),
        ("tidewise up", True),
        ("tidewise", False),
        ("tidewise train", False),
        ("tidewise recommend up", False),
    ],
)
def test_the_command_is_the_first_word_that_is_no_option(line: str, answer: bool) -> None:
    assert serves(line.split()) is answer


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_modules_are_imported_ends_it_without_a_traceback(number: int, code: int) -> None:
    script = (
        "import os, sys; from tidewise.entry import main\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_): name == 'tidewise.cli' and os.kill(os.getpid(), NUMBER)\n"
        "sys.meta_path.insert(0, Finder()); main()"
    )
    command = [sys.executable, "-c", script.replace("NUMBER", str(int(number)))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (code, "")


def test_version_is_printed_without_a_command() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"tidewise {__version__}\n")
