"""The row counts of the database, cached where counting is slow.

Counting a large table takes as long as reading it, and dashboards poll every few seconds. Independent of HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from core.clock import Clock
from core.ports.store import ReadTransaction
from core.records.stored import StoreTotals

CHEAP_S = 0.05  # faster counts are not cached
MAX_SHARE = 0.01  # of the time may be spent on slower counts


@dataclass(frozen=True, slots=True)
class Counted:
    """Totals and when they were counted."""

    totals: StoreTotals
    counted_ms: int


class StoreCounts:
    """The totals of one store. Thread-safe: while one thread counts, the others get the last count."""

    def __init__(self, clock: Clock, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._now_s = now_s
        self._counting = Lock()
        self._last: Counted | None = None
        self._next_s = 0.0

    def of(self, read: ReadTransaction) -> Counted:
        """The current totals, or cached ones where counting is slow."""
        last = self._last
        if last is not None and self._now_s() < self._next_s:
            return last
        if not self._counting.acquire(blocking=last is None) and last is not None:
            return last
        try:
            started_s, counted_ms = self._now_s(), self._clock.now_ms()
            counted = Counted(read.totals(), counted_ms)
            took_s = self._now_s() - started_s
            self._last, self._next_s = counted, self._now_s() + (took_s / MAX_SHARE if took_s > CHEAP_S else 0.0)
            return counted
        finally:
            self._counting.release()
