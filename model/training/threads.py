"""How many cores torch may use in this process. For entry points; importing it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def limit_threads(num_threads: int) -> None:
    """Serving wants 1 (requests run side by side), training wants every core it may have."""
    torch.set_num_threads(max(1, num_threads))


@contextmanager
def divided_threads(num_processes: int) -> Iterator[None]:
    """A share of this process's cores for it, until the block ends, and as many for each of the others."""
    num_threads = torch.get_num_threads()
    limit_threads(num_threads // num_processes)
    try:
        yield
    finally:
        limit_threads(num_threads)
