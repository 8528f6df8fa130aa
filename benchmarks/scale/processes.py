"""Memory and CPU time of a process and its descendants, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def memory_bytes(pid: int) -> int:
    """The memory of all, pages that several share counted once (PSS)."""
    return sum(1024 * _pss_kib(Path(f"/proc/{member}/smaps_rollup").read_text()) for member in family(pid))


def cpu_s(pid: int) -> float:
    """The CPU time that those running have used."""
    ticks = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> Iterator[int]:
    """The process and its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def _pss_kib(rollup: str) -> int:
    return int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
