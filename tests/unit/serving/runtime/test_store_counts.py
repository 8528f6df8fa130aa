"""Store counts: fresh while counting is fast, cached where it is slow."""

from __future__ import annotations

from typing import cast

from core.clock import StreamClock
from core.ports.store import ReadTransaction
from core.records.stored import StoreTotals
from serving.runtime.store_counts import StoreCounts


class SlowStore:
    """Counting takes a while of a clock turned by hand; each count finds one event more."""

    def __init__(self, *, takes_s: float) -> None:
        self.takes_s = takes_s
        self.now_s = 100.0
        self.num_counts = 0

    def totals(self) -> StoreTotals:
        self.now_s += self.takes_s
        self.num_counts += 1
        return StoreTotals(0, 0, 0, self.num_counts, 0)


def counted(totals: StoreCounts, store: SlowStore) -> tuple[int, int]:
    counts = totals.of(cast(ReadTransaction, store))
    return counts.totals.events, counts.counted_ms


def totals_of(store: SlowStore) -> StoreCounts:
    return StoreCounts(StreamClock(lambda: int(store.now_s * 1000)), now_s=lambda: store.now_s)


def test_fast_counts_are_not_cached() -> None:
    store = SlowStore(takes_s=0.01)
    totals = totals_of(store)
    assert [counted(totals, store)[0] for _ in range(3)] == [1, 2, 3]


def test_slow_counts_are_cached_to_one_percent_of_the_time() -> None:
    store = SlowStore(takes_s=2.0)
    totals = totals_of(store)
    assert counted(totals, store) == (1, 100_000)
    store.now_s += 199
    assert counted(totals, store) == (1, 100_000)
    store.now_s += 2
    assert counted(totals, store) == (2, 303_000)
