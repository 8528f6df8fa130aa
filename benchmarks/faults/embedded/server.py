"""`tidewise up` with API processes and a monitor, which may be killed or suspended, their disk or clock disturbed."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from benchmarks.faults.embedded.clock.sitecustomize import SHIFT_VARIABLE
from benchmarks.faults.embedded.slow_disk import slowed
from benchmarks.faults.processes import START_S, TIMEOUT_S, RecoveryTimeout, wait_until
from benchmarks.faults.system import local_ports
from benchmarks.scale.processes import children_of
from tidewise.processes.children import free_port, running

NUM_APIS = 2
CLOCK_FOLDER = Path(__file__).parent / "clock"
FORK_SERVER = b"forkserver"  # in the command line of the process that forks the others


class SupervisedServer:
    """One `tidewise up` on a data folder and a port; after `kill` it may be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = free_port(0)
        self.url = f"http://127.0.0.1:{self._port}"
        self.log_path = folder.parent / "up.log"
        self._shift = folder.parent / "clock-shift"
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, without waiting."""
        arguments = ["up", "--data", str(self.folder), "--port", str(self._port), "--processes", str(NUM_APIS)]
        self._process = self._stack.enter_context(running([*arguments, "--no-train"], log=self.log_path))

    def stop(self) -> None:
        """Send SIGTERM, and wait for its exit."""
        self._stack.close()

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        """The process that starts the others."""
        assert self._process is not None
        return self._process

    def children(self) -> list[int]:
        """The process ids of APIs and monitor, which the supervisor's fork server has forked."""
        servers = [pid for pid in children_of(self.supervisor.pid) if FORK_SERVER in _command_line(pid)]
        return [child for pid in servers for child in children_of(pid)]

    def processes(self, role: str) -> list[int]:
        """The process ids of the supervisor, the APIs or the monitor; those of APIs listen on the port."""
        if role == "supervisor":
            return [self.supervisor.pid]
        apis = [pid for pid in self.children() if self._listens(pid)]
        return apis if role == "api" else [pid for pid in self.children() if pid not in apis]

    def _listens(self, pid: int) -> bool:
        with suppress(OSError):  # it has just ended
            return self._port in local_ports(pid)
        return False

    def await_ready(self) -> None:
        """Wait until every process runs and `/ready` answers 200; starts the supervisor again if it is dead."""
        what = f"{NUM_APIS} APIs and a monitor run, and {self.url} is ready"
        wait_until(what, lambda: self._is_whole() and self._is_ready(), timeout_s=START_S)

    def _is_whole(self) -> bool:
        if self.supervisor.poll() is not None:
            self.start()
        return len(self.processes("api")) == NUM_APIS and len(self.processes("monitor")) == 1

    def _is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/ready", timeout=2.0).status_code == httpx.codes.OK
        return False

    @contextmanager
    def adjustable_clocks(self) -> Iterator[None]:
        """Processes that start while the block runs, commands too, have a clock that `wrong_clock` sets wrong."""
        before = dict(os.environ)
        os.environ |= {SHIFT_VARIABLE: str(self._shift), "PYTHONPATH": str(CLOCK_FOLDER)}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ |= before

    @contextmanager
    def wrong_clock(self, shift_s: float) -> Iterator[None]:
        """The clock of all processes is wrong by so many seconds while the block runs."""
        new = self._shift.with_suffix(".new")
        new.write_text(str(round(shift_s * 1e9)))
        new.replace(self._shift)
        try:
            yield
        finally:
            self._shift.unlink(missing_ok=True)

    def slow_disk(self, delay_s: float) -> AbstractContextManager[None]:
        """The disk of the processes that run now is slow while the block runs."""
        return slowed(self.children(), delay_s=delay_s)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """No file of the processes that run now may grow beyond the longest one while the block runs."""
        pids = self.children()
        longest = max(path.stat().st_size for path in self.folder.iterdir())
        _limit_files(pids, longest)
        try:
            yield
        finally:
            _limit_files(pids, resource.RLIM_INFINITY)


def _limit_files(pids: Sequence[int], num_bytes: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))


def kill(pid: int) -> None:
    """SIGKILL, and wait until all threads of the process have ended: only then does its parent see that it is dead."""
    with suppress(ProcessLookupError), _descriptor(pid) as process:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        if not select.select([process], [], [], TIMEOUT_S)[0]:
            msg = f"process {pid} survived SIGKILL for {TIMEOUT_S:.0f} s"
            raise RecoveryTimeout(msg)


@contextmanager
def _descriptor(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
