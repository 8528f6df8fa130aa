"""A lag before readings are added to the baseline, so that a change is detected before it becomes the baseline.

Independent of what it holds back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from core.clock import DAY_MS

T = TypeVar("T")

LONGEST_MS = 7 * DAY_MS
GROWTH = 0.4  # the lag grows by this share of the baseline's age: a young baseline has to learn at once


class Lag(Generic[T]):
    """A queue that releases its entries after a lag."""

    def __init__(self, growth: float = GROWTH) -> None:
        """`growth` 0: no lag."""
        self._growth = growth
        self._waiting: deque[tuple[int, T]] = deque()
        self._ready_ms: int | None = None

    def put(self, end_ms: int, entry: T, *, ready: bool) -> Iterator[T]:
        """Add an entry and release those older than the lag; `ready`: whether the baseline is usable yet."""
        if ready and self._ready_ms is None:
            self._ready_ms = end_ms
        lag_ms = 0 if self._ready_ms is None else min(LONGEST_MS, self._growth * (end_ms - self._ready_ms))
        self._waiting.append((end_ms, entry))
        while self._waiting and self._waiting[0][0] <= end_ms - lag_ms:
            yield self._waiting.popleft()[1]

    def drain(self) -> list[T]:
        """Release all entries, oldest first."""
        entries = [entry for _, entry in self._waiting]
        self._waiting.clear()
        return entries
