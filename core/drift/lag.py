"""What was read is expected some days later: a change is not taken for normal before it is noticed.

Independent of what it holds back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from core.clock import DAY_MS

T = TypeVar("T")

LONGEST_MS = 7 * DAY_MS
GROWTH = 0.4  # of the time since there is an expectation: a young one is off by itself and has to learn at once


class Lag(Generic[T]):
    """A queue in which things wait until they are old enough."""

    def __init__(self, growth: float = GROWTH) -> None:
        """`growth` 0: nothing waits."""
        self._growth = growth
        self._waiting: deque[tuple[int, T]] = deque()
        self._ready_ms: int | None = None

    def put(self, end_ms: int, what: T, *, ready: bool) -> Iterator[T]:
        """Add the newest and take out what is due; `ready`: whether there is an expectation to be surprised by."""
        if ready and self._ready_ms is None:
            self._ready_ms = end_ms
        lag_ms = 0 if self._ready_ms is None else min(LONGEST_MS, self._growth * (end_ms - self._ready_ms))
        self._waiting.append((end_ms, what))
        while self._waiting and self._waiting[0][0] <= end_ms - lag_ms:
            yield self._waiting.popleft()[1]
