"""A limit of the memory that a call may take: for libraries that unpack what a file says, however much it is.

By the address space of the process (RLIMIT_AS), so it holds for all of its threads; beyond it, memory errors.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE_BYTES = resource.getpagesize()
STATM = Path("/proc/self/statm")  # its first number: pages of address space; Linux only


@contextmanager
def memory_limited(mib: int) -> Iterator[None]:
    """Let the process take at most so much more memory than now; without a limit where the system cannot tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        now_bytes = int(STATM.read_bytes().split()[0]) * PAGE_BYTES
    except OSError:
        yield
        return
    wanted = now_bytes + (mib << 20)
    limits = [limit for limit in (wanted, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
