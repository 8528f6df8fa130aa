"""Activity in a store: processes add up what they count in a period."""

from __future__ import annotations

from core.ports.store import Store
from core.records.activity import ActivityCount, ActivityKind

ANSWER, APPLIED = ActivityKind.RECOMMENDATION, ActivityKind.APPLIED_EVENTS


def test_counts_of_the_same_period_kind_and_bucket_are_added(store: Store) -> None:
    for counts in ([(5_000, APPLIED, 3, 1), (0, ANSWER, 9, 2)], [(0, ANSWER, 9, 5), (0, ANSWER, 8, 1)], []):
        with store.transaction() as tx:
            tx.activity.add([ActivityCount(*count) for count in counts])
            tx.commit()
    summed = [(0, ANSWER, 8, 1), (0, ANSWER, 9, 7), (5_000, APPLIED, 3, 1)]
    with store.read() as read:
        assert read.activity.counts(since_ms=0, before_ms=10_000) == summed
        assert read.activity.counts(since_ms=0, before_ms=5_000) == summed[:2]
        assert read.activity.counts(since_ms=1, before_ms=10_000) == summed[2:]
    with store.transaction() as tx:
        tx.activity.delete(before_ms=5_000)
        tx.commit()
    with store.read() as read:
        assert read.activity.counts(since_ms=0, before_ms=10_000) == summed[2:]
