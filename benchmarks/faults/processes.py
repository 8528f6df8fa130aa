"""Processes of our command line that may be killed, under a supervisor: what ends by itself is started again, counted.

Knows nothing about servers, nor about which fault comes when.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tidewise.processes.children import free_port, running

POLL_S = 0.02
PATIENCE_S = 90.0  # longer than any of our own time limits: the watchdog ends a worker that stands still after 60 s
MAX_ENDS = 10  # what ends so often never runs
READS = "reading from the database's offsets"


class Overdue(Exception):
    """Something did not happen in time; the message says what."""


def until(what: str, reached: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > deadline_s:
            msg = f"waited {timeout_s:.0f} s until {what}, in vain"
            raise Overdue(msg)
        time.sleep(POLL_S)


class Child:
    """A process of our command line under a name that it keeps. Each start begins a log of its own.

    Whoever starts it wants it to run until `kill`, `terminate` or `stop`: what ends otherwise has ended by itself.
    """

    def __init__(self, name: str, folder: Path, arguments: list[str]) -> None:
        self.name = name
        self.own_ends: list[str] = []  # exit code and log of each end of its own
        self._folder = folder
        self._arguments = arguments
        self._stack = ExitStack()
        self._num_starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._lock = threading.Lock()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The latest start."""
        assert self._process is not None
        return self._process

    @property
    def log_path(self) -> Path:
        """What the latest start says."""
        return self._folder / f"{self.name}-{self._num_starts}.log"

    def start(self) -> None:
        """Start without waiting for anything."""
        with self._lock:
            self._start()

    def start_again(self) -> None:
        """What a supervisor does: where it has ended by itself, note it and start it."""
        with self._lock:
            if self._wanted and self.process.poll() is not None and len(self.own_ends) < MAX_ENDS:
                self.own_ends.append(f"{self.process.returncode} ({self.log_path.name})")
                self._start()

    def _start(self) -> None:
        self._num_starts += 1
        self._process = self._stack.enter_context(running(self._arguments, log=self.log_path))
        self._wanted = True

    def kill(self) -> None:
        """End it by SIGKILL: no handler runs, nothing is flushed."""
        self._forget()
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        self._forget()
        self.process.terminate()

    def await_end(self) -> None:
        """Until it has ended in an orderly way, having been asked to."""
        until(f"{self.name} ends", lambda: self.process.poll() is not None)
        if self.process.returncode != 0:
            msg = f"{self.name} ended with code {self.process.returncode}, wanted 0; its log is {self.log_path}"
            raise Overdue(msg)

    def stop(self) -> None:
        """SIGTERM, where it still runs, and its end."""
        self._forget()
        self._stack.close()

    def _forget(self) -> None:
        with self._lock:
            self._wanted = False

    @property
    def num_reads(self) -> int:
        """How often this start of a worker was given partitions and began to read them."""
        return self.log_path.read_text(errors="replace").count(READS)

    def await_partitions(self, *, more_than: int = 0) -> None:
        """Until this worker was given partitions (again)."""
        until(f"{self.name} is given partitions", lambda: self.num_reads > more_than)


class Api(Child):
    """`tidewise serve` on a port that it keeps."""

    def __init__(self, name: str, folder: Path, data: list[str]) -> None:
        port = free_port(0)
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(name, folder, ["serve", *data, "--port", str(port)])

    def await_ready(self) -> None:
        """Until it answers that it is ready."""
        until(f"{self.name} is ready", self._ready)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=2.0).status_code == httpx.codes.OK
        except httpx.TransportError:  # it does not listen yet
            return False


@contextmanager
def supervised(children: Sequence[Child]) -> Iterator[None]:
    """While the block runs, what ends by itself is started again: compose's `restart: unless-stopped`."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_S):
            for child in tuple(children):
                child.start_again()

    watcher = threading.Thread(target=watch, name="supervisor")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
