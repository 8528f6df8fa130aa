"""How a process begins: which command lines serve, and what those that serve leave unimported."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tidewise import __version__
from tidewise.cli import app
from tidewise.entry import serves

LOADED = "import sys; import {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"


def packages_loaded_by(module: str) -> set[str]:
    command = [sys.executable, "-c", LOADED.format(module=module)]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())


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


def test_a_starting_worker_imports_no_model_and_no_client() -> None:
    worker = "tidewise.shell, tidewise.commands.run, tidewise.processes.worker, stream.worker.worker, storage"
    assert packages_loaded_by(worker).isdisjoint({"torch", "sklearn", "scipy", "faiss", "httpx", "fastapi"})


def test_a_serving_process_imports_nothing_of_training() -> None:
    loaded = packages_loaded_by("tidewise.commands.run, serving.app, model.checkpoint, model.inference.cached")
    assert "sklearn" not in loaded


def test_version_is_printed_without_a_command() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"tidewise {__version__}\n")
