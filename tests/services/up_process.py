"""`tidewise up` or `serve` as a process, for tests that kill it, limit it and read its log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

ANNOUNCED = re.compile(r"Tidewise answers at (http://\S+)")
START_S = 90.0  # on a machine busy with other tests; 3 s on an idle one
T = TypeVar("T")
UP = ("up", "--no-train")


class UpProcess:
    """One server at a time on one data folder; each start takes a free port and has its own log."""

    def __init__(
        self,
        folder: Path,
        *,
        command: Sequence[str] = UP,
        options: Sequence[str] = (),
        program: Sequence[str] = ("-m", "tidewise"),
    ) -> None:
        own = ["--data", str(folder), "--port", "0"]
        own += ["--processes", "1"]  # starts in half the CPU time of the default; `options` may ask for more
        self._command = [sys.executable, "-P", *program, *command, *own, *options]
        self._logs = folder.parent
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """The log of the latest start."""
        return self._log_path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def _log_path(self) -> Path:
        return self._logs / f"up-{self._starts}.log"

    def start(self) -> None:
        """Start without waiting until it is ready."""
        assert not self.runs()
        self._starts += 1
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=quiet_environment()
            )

    def start_and_wait(self) -> str:
        """Start and wait until it is ready; returns its address."""
        self.start()
        match = self.until(lambda: ANNOUNCED.search(self.log), timeout_s=START_S)
        assert match is not None
        self.until(lambda: httpx.get(f"{match[1]}/ready", timeout=10.0).status_code == httpx.codes.OK)
        return match[1]

    def until(self, reached: Callable[[], T | None], *, timeout_s: float = 30.0) -> T:
        """Wait for a condition and return its value; fails with the log if the server ends or at the timeout."""
        deadline_s = time.monotonic() + timeout_s
        while not (value := reached()):
            assert self.runs(), f"the server ended:\n{self.log[-3_000:]}"
            assert time.monotonic() < deadline_s, f"not reached within {timeout_s:g} s:\n{self.log[-3_000:]}"
            time.sleep(0.02)
        return value

    def supervised(self) -> list[int]:
        """With several processes: APIs and monitor, which the fork server of the supervisor has forked."""
        fork_server = next(pid for pid in children_of(self.pid) if b"forkserver" in command_line(pid))
        return children_of(fork_server)

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9: no handler runs, nothing is flushed."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    def wait(self, *, timeout_s: float = 30.0) -> int:
        """Wait until it has ended; the exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)


@contextmanager
def up(folder: Path, *, command: Sequence[str] = UP, options: Sequence[str] = ()) -> Iterator[tuple[UpProcess, str]]:
    """A ready server and its address; killed at the end of the block."""
    process = UpProcess(folder, command=command, options=options)
    try:
        yield process, process.start_and_wait()
    finally:
        if process.runs():
            process.kill()


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def quiet_environment() -> dict[str, str]:
    """The environment without settings of ours, and with unbuffered output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEWISE_")}
    return kept | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200", "NO_COLOR": "1"}
