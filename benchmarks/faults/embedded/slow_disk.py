"""A slow disk for processes that run: strace delays each of their calls that wait for it (fsync, fdatasync).

Attaching needs root, or a kernel that lets a user trace their own processes.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.processes import wait_until

CALLS = "fsync,fdatasync"


class NoTracer(Exception):
    """strace is missing, or may not attach to our processes."""


@contextmanager
def slowed(pids: Sequence[int], *, delay_s: float) -> Iterator[None]:
    """Each wait of these processes for the disk takes longer by so many seconds while the block runs."""
    pids = [pid for pid in pids if _runs(pid)]
    attach = [option for pid in pids for option in ("-p", str(pid))]
    inject = f"inject={CALLS}:delay_enter={round(delay_s * 1e6)}"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", inject, *attach]
    try:
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise NoTracer("strace is missing") from None
    try:
        wait_until("strace is attached", lambda: tracer.poll() is not None or all(map(_is_traced, pids)))
        if tracer.poll() is not None and any(map(_runs, pids)):
            _, reason = tracer.communicate()
            raise NoTracer(reason.decode(errors="replace").strip())
        yield
    finally:
        tracer.send_signal(signal.SIGTERM)  # it detaches
        tracer.communicate()


def check() -> None:
    """Raise `NoTracer` where disks cannot be slowed on this machine."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            with slowed([process.pid], delay_s=0.0):
                pass
        finally:
            process.kill()


def _is_traced(pid: int) -> bool:
    """Whether a process is traced, or gone."""
    return not _runs(pid) or _status(pid).get("TracerPid") != "0"


def _runs(pid: int) -> bool:
    return _status(pid).get("State", "Z")[0] not in "ZX"


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it is dead
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
