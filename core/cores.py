"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # "QUOTA PERIOD" in microseconds, "max PERIOD" without a limit


def num_cores(limit: Path = CONTAINER_LIMIT) -> int:
    """The cores that the scheduler allows, at most as many as a container's limit of CPU time fills; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = limit.read_text().split()
        return max(1, min(allowed, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return allowed
