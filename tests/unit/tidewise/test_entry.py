"""How a process begins: which command lines serve."""

from __future__ import annotations

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


def test_version_is_printed_without_a_command() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"tidewise {__version__}\n")
