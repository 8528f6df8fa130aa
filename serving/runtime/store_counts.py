"""How much a store holds, counted as often as that is cheap.

Counting a large table takes as long as reading it, and dashboards ask every few seconds. Knows nothing about HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from core.clock import Clock
from core.ports import ReadTransaction, StoreTotals

CHEAP_S = 0.05  # what takes less is counted for whoever asks
SHARE = 0.01  # of the time may go into counting, where it takes longer


@dataclass(frozen=True, slots=True)
class Counted:
    """Totals and when they were true."""

    totals: StoreTotals
    counted_ms: int


class StoreCounts:
    """The totals of one store. May be asked by several threads: while one counts, the others get the last count."""

    def __init__(self, clock: Clock, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._now_s = now_s
        self._counting = Lock()
        self._last: Counted | None = None
        self._again_s = 0.0

    def of(self, read: ReadTransaction) -> Counted:
        """The totals of a view, or those of a while ago where counting is dear."""
        last = self._last
        if last is not None and self._now_s() < self._again_s:
            return last
        if not self._counting.acquire(blocking=last is None) and last is not None:
            return last
        try:
            began_s, counted_ms = self._now_s(), self._clock.now_ms()
            found = Counted(read.totals(), counted_ms)
            took_s = self._now_s() - began_s
            self._last, self._again_s = found, self._now_s() + (took_s / SHARE if took_s > CHEAP_S else 0.0)
            return found
        finally:
            self._counting.release()
