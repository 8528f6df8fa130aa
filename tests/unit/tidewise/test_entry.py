"""How a process begins: which command lines serve, and what those that serve leave unimported."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tidewise import __version__
from tidewise.cli import app
from tidewise.entry import serves

IMPORTED = "print(*{name.partition('.')[0] for name in sys.modules})"
WORKER = "import tidewise.cli as cli, tidewise.processes.worker, stream.worker.worker, storage; cli.commands['worker']"
SERVER = "import serving.app, model.checkpoint, model.inference.cached, stream.drift.detectors"


@pytest.fixture(scope="module")
def imported() -> list[set[str]]:
    """The packages that a worker imports, and those that a server imports beside them; in one process for both."""
    program = "\n".join(["import sys", WORKER, IMPORTED, SERVER, IMPORTED])
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return [set(line.split()) for line in child.stdout.splitlines()]


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


def test_a_starting_worker_imports_no_model_and_no_client(imported: list[set[str]]) -> None:
    worker, _ = imported
    assert "faust" in worker
    assert worker.isdisjoint({"torch", "sklearn", "scipy", "faiss", "httpx", "fastapi"})


def test_a_serving_process_imports_nothing_of_training(imported: list[set[str]]) -> None:
    _, both = imported
    assert {"torch", "fastapi", "river"} <= both
    assert "sklearn" not in both


def test_version_is_printed_without_a_command() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"tidewise {__version__}\n")
