"""Memory and CPU time of a process and its descendants, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

IDLE_CPU_S = 0.06  # in a second, of all processes of a server that has nothing to catch up with
WATCHED_S = 7  # more than two periods of the monitor, which catches up in bursts
MAX_BUSY_S = 600


def memory_bytes(pid: int) -> int:
    """The memory of all, pages that several share counted once (PSS)."""
    return sum(_rollup_bytes(rollup, "Pss") for rollup in _each(family(pid), "smaps_rollup"))


def own_memory_bytes(pid: int) -> int:
    """The same without pages of files, such as libraries: these weigh less while another program maps them, too."""
    rollups = list(_each(family(pid), "smaps_rollup"))
    return sum(_rollup_bytes(rollup, name) for rollup in rollups for name in ("Pss_Anon", "Pss_Shmem"))


def cpu_s(pid: int, *, alone: bool = False) -> float:
    """The CPU time that those running have used; `alone`: without the descendants."""
    members = [pid] if alone else family(pid)
    fields = [stat.rpartition(")")[2].split() for stat in _each(members, "stat")]
    return sum(int(of_one[11]) + int(of_one[12]) for of_one in fields) / os.sysconf("SC_CLK_TCK")


def cpu_ticks() -> tuple[int, int]:
    """Of all cores since the start: all CPU time, and what the host gave to other virtual machines (steal)."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[7]


def wait_idle(pid: int) -> None:
    """Wait until a server's start is over: the first pass of the monitor and the encodings of users."""
    deadline = time.monotonic() + MAX_BUSY_S
    busy_s = float("inf")
    while busy_s > IDLE_CPU_S:
        assert time.monotonic() < deadline, f"the server still computes {busy_s:.2f} s in each second"
        busy_s = cpu_share(pid, seconds=WATCHED_S)


def cpu_share(pid: int, *, seconds: float) -> float:
    """The CPU time of all in the next seconds, in cores."""
    before_s = cpu_s(pid)
    time.sleep(seconds)
    return (cpu_s(pid) - before_s) / seconds


def family(pid: int) -> Iterator[int]:
    """The process and its descendants."""
    yield pid
    for child in children_of(pid):
        yield from family(child)


def children_of(pid: int) -> list[int]:
    """The children of all threads of a process; none where it is gone."""
    children = list[int]()
    with suppress(OSError):  # it has just ended
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            children += map(int, path.read_text().split())
    return children


def _each(members: Iterable[int], name: str) -> Iterator[str]:
    """A file of /proc of those of these processes that have not ended meanwhile."""
    for member in members:
        with suppress(OSError):
            yield Path(f"/proc/{member}/{name}").read_text()


def _rollup_bytes(rollup: str, name: str) -> int:
    return 1024 * int(next(line.split()[1] for line in rollup.splitlines() if line.startswith(f"{name}:")))
