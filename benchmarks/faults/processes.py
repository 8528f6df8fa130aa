"""`tidewise` processes that may be killed, under a supervisor that restarts and counts unexpected exits.

Independent of servers and of the order of faults.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tidewise.processes.children import free_port, running

POLL_S = 0.02
TIMEOUT_S = 90.0  # above every timeout of Tidewise: the watchdog exits a stalled worker after 60 s
START_S = 300.0  # all processes at once: 20 s of CPU, minutes on a machine busy with other things
MAX_RESTARTS = 10
SEEK_LOG_LINE = "reading from the database's offsets"


class RecoveryTimeout(Exception):
    """A condition was not reached within its timeout."""


def wait_until(
    condition: str, reached: Callable[[], bool], *, timeout_s: float = TIMEOUT_S, poll_s: float = POLL_S
) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > deadline_s:
            msg = f"wanted within {timeout_s:.0f} s: {condition}; it did not happen"
            raise RecoveryTimeout(msg)
        time.sleep(poll_s)


class Child:
    """A `tidewise` process with a fixed name. Each start writes a new log.

    It should run until `kill`, `terminate` or `stop`: any other exit is unexpected, and the supervisor restarts it.
    `checkout`: the source that its next start runs; None: this one.
    """

    def __init__(self, name: str, folder: Path, arguments: list[str]) -> None:
        self.name = name
        self.checkout: Path | None = None
        self.unexpected_exits: list[str] = []  # exit code and log of each
        self._folder = folder
        self._arguments = arguments
        self._stack = ExitStack()
        self._num_starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._should_run = False
        self._lock = threading.Lock()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the latest start."""
        assert self._process is not None
        return self._process

    @property
    def log_path(self) -> Path:
        """The log of the latest start."""
        return self._log_of(self._num_starts)

    def _log_of(self, start: int) -> Path:
        return self._folder / f"{self.name}-{start}.log"

    def start(self) -> None:
        """Start, without waiting."""
        with self._lock:
            self._start()

    def restart_after_exit(self) -> None:
        """As a supervisor does: after an unexpected exit, record it and restart."""
        with self._lock:
            if self._should_run and self.process.poll() is not None and len(self.unexpected_exits) < MAX_RESTARTS:
                self.unexpected_exits.append(f"{self.process.returncode} ({self.log_path.name})")
                self._start()

    def _start(self) -> None:
        self._num_starts += 1
        variables = None if self.checkout is None else environment_of(self.checkout)
        self._process = self._stack.enter_context(running(self._arguments, log=self.log_path, variables=variables))
        self._should_run = True

    def kill(self) -> None:
        """End it by SIGKILL: no handler runs, nothing is flushed."""
        self._expect_exit()
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._expect_exit()
        self.process.terminate()

    def await_end(self) -> None:
        """Wait for its exit with code 0, after `terminate`."""
        wait_until(f"{self.name} ends", lambda: self.process.poll() is not None)
        if self.process.returncode != 0:
            msg = f"{self.name} ended with code {self.process.returncode}, wanted 0; its log is {self.log_path}"
            raise RecoveryTimeout(msg)

    def stop(self) -> None:
        """Send SIGTERM if it runs, and wait for its exit."""
        self._expect_exit()
        self._stack.close()

    def _expect_exit(self) -> None:
        with self._lock:
            self._should_run = False

    @property
    def num_seeks(self) -> int:
        """How often this worker has sought assigned partitions, in all of its starts."""
        return sum(_num_seeks(self._log_of(start)) for start in range(1, self._num_starts + 1))

    def await_partitions(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until this worker has partitions since its latest start."""
        wait_until(f"{self.name} has partitions", lambda: _num_seeks(self.log_path) > 0, timeout_s=timeout_s)

    def await_seek(self, *, after: int) -> None:
        """Wait until this worker has sought partitions more often, whether it was started again or not."""
        wait_until(f"{self.name} has partitions again", lambda: self.num_seeks > after)


def _num_seeks(log: Path) -> int:
    return log.read_text(errors="replace").count(SEEK_LOG_LINE)


class Api(Child):
    """`tidewise serve` on a fixed port."""

    def __init__(self, name: str, folder: Path, data: list[str]) -> None:
        port = free_port(0)
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(name, folder, ["serve", *data, "--port", str(port)])

    def await_ready(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until `/ready` answers 200."""
        wait_until(f"{self.name} is ready", self._ready, timeout_s=timeout_s)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=2.0).status_code == httpx.codes.OK
        except httpx.TransportError:  # it does not listen yet
            return False


def environment_of(checkout: Path) -> dict[str, str]:
    """The environment of a Python that imports the source of a checkout."""
    return {**os.environ, "PYTHONPATH": str(checkout.absolute())}


@contextmanager
def supervised(children: Sequence[Child]) -> Iterator[None]:
    """Restart processes after unexpected exits while the block runs: compose's `restart: unless-stopped`."""
    stop = threading.Event()

    def supervise() -> None:
        while not stop.wait(POLL_S):
            for child in tuple(children):
                child.restart_after_exit()

    supervisor = threading.Thread(target=supervise, name="supervisor")
    supervisor.start()
    try:
        yield
    finally:
        stop.set()
        supervisor.join()
