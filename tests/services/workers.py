"""Worker processes for tests: started, stopped, killed, and observed through their log and database."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.ports.store import Store
from stream.kafka.settings import StreamSettings

ENTRY = Path(__file__).with_name("worker_process.py")
SOUGHT = "reading from the database's offsets"  # in the log of a worker whose partitions begin or begin anew


class WorkerProcess:
    """A worker process that can be restarted, on one database."""

    def __init__(
        self, kafka: StreamSettings, url: str, folder: Path, *, name: str = "worker-1", session_timeout_s: float = 6.0
    ) -> None:
        options = [url, json.dumps(dataclasses.asdict(kafka)), name, str(session_timeout_s)]
        self._command = [sys.executable, "-P", str(ENTRY), *options]
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"}
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, without waiting."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, *, by: signal.Signals) -> int:
        """Send a signal; returns the exit status."""
        self.signal(by)
        return self.wait()

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait for its exit status."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def peak_bytes(self) -> int:
        """The most memory that it has had."""
        assert self._process is not None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None


def wait_until(reached: Callable[[], bool], worker: WorkerProcess, *, timeout_s: float = 30.0) -> None:
    """Wait until a condition holds; fails with the end of the worker's log."""
    deadline_s = time.monotonic() + timeout_s
    while not reached():
        assert worker.runs(), f"the worker ended:\n{worker.log[-3_000:]}"
        assert time.monotonic() < deadline_s, f"not reached within {timeout_s:g} s:\n{worker.log[-3_000:]}"
        time.sleep(0.02)


def num_events(store: Store) -> int:
    with store.read() as read:
        return read.totals().events
