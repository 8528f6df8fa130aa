"""Roles for tests of the supervisor: each notes its process id in a folder of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.errors import InvalidSettings


def note(folder: Path) -> None:
    """Add this process to those that have run in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pids").open("a") as pids:
        pids.write(f"{os.getpid()}\n")


def noted(folder: Path) -> list[int]:
    """The processes that have run in a folder, in order."""
    pids = folder / "pids"
    return [int(pid) for pid in pids.read_text().split()] if pids.exists() else []


def wait_for_signal(folder: Path, announce: Callable[[], None]) -> None:
    """Ready at once; notes that it ended in order."""

    def end(*_: object) -> None:
        (folder / "ended").touch()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    note(folder)
    announce()
    while True:
        signal.pause()


def ignore_signals(folder: Path, announce: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(folder)
    announce()
    time.sleep(600)


def be_killed(folder: Path, times: int, announce: Callable[[], None]) -> None:
    """Killed so many times before it is ready."""
    note(folder)
    if len(noted(folder)) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    wait_for_signal(folder, announce)


def fail(announce: Callable[[], None]) -> None:
    msg = "server.port: wanted another"
    raise InvalidSettings(msg)
