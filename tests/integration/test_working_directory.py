"""Modules in the user's working directory do not replace ours: in the console script, the trainer, the encoder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from services.small_shop import settings_in
from services.up_process import quiet_environment

from core.learn.triggers import Job
from tidewise.processes.encoder_process import EncoderProcess
from tidewise.processes.learning_scheduler import LearningScheduler

SCRIPT = Path(sys.executable).with_name("tidewise")
TIMEOUT_S = 110.0  # the child has low priority, and a test run leaves it little


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with modules of our packages' names, each of which fails when it is imported."""
    folder = tmp_path / "work"
    (folder / "core").mkdir(parents=True)
    for name in ("model.py", "storage.py", "typer.py", "queue.py", "core/__init__.py"):
        (folder / name).write_text("raise RuntimeError(f'{__file__} was imported')")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data folder with an empty database."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "tidewise.db")
    return folder


def test_console_script_ignores_modules_in_the_working_directory(data: Path) -> None:
    command = [SCRIPT, "learn", "--once", "--data", str(data)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=quiet_environment())
    assert (ended.returncode, ended.stderr.strip()) == (0, "No training is due.")


@pytest.mark.usefixtures("real_start")
def test_learning_child_ignores_modules_in_the_working_directory(data: Path) -> None:
    jobs = [Job("first", "a test")]
    learning = LearningScheduler(
        next_job=lambda: jobs.pop() if jobs else None, arguments=["--data", str(data)], variables={}
    )
    learning.check()
    deadline_s = time.monotonic() + TIMEOUT_S
    while learning.is_learning:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
        learning.check()
    assert (learning.num_started, learning.num_failed) == (1, 0)


@pytest.mark.usefixtures("real_start")
def test_encoder_process_ignores_modules_in_the_working_directory(tmp_path: Path) -> None:
    encoder = EncoderProcess(settings_in(tmp_path / "data"))
    try:
        assert encoder.encode([]) == 0
    finally:
        encoder.stop()
