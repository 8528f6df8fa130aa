"""What ingest counts and samples for monitoring: exactly once, by bucket, and never more than the budget."""

from __future__ import annotations

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event, offsets
from doubles import MemoryStore

from core.catalogue.items import Item
from core.clock import ManualClock
from core.drift.counting import NEW_ITEM_MS, DriftSampler
from core.ingestion.ingest import Ingestor
from core.ingestion.rebuild import rebuild
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.records.drift import BUCKET_MS, GAP_EDGES_S, NUM_GAPS, BucketCounts

WINDOWED = TYPES.flagged("window")
LIVE = RequestSource("api")
START_MS = NOW_MS // BUCKET_MS * BUCKET_MS


class Seconds:
    """A clock set by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


TEA = 1  # the first topic that a store hears of


def watched(store: MemoryStore, *, per_minute: float = 600, seconds: Seconds | None = None) -> Ingestor:
    sampler = DriftSampler(window_codes=WINDOWED, samples_per_minute=per_minute, seconds=seconds or Seconds())
    return Ingestor(store, types=TYPES, shape=SHAPE, sampler=sampler)


def counts(store: MemoryStore) -> dict[int, BucketCounts]:
    with store.read() as read:
        return read.drift.counts(read.drift.counted_ms(after_ms=-1, before_ms=2**62, limit=1000))


def waiting(store: MemoryStore) -> list[int]:
    with store.read() as read:
        return [(sample.time_ms - NOW_MS) // 1000 for sample in read.drift.unscored(limit=1000)]


def test_events_are_counted_by_bucket_topic_gap_and_what_is_new() -> None:
    store = MemoryStore()
    save_items(store, [Item("tea", categories=("Tea",))], clock=ManualClock(NOW_MS - 2 * NEW_ITEM_MS))
    ingestor = watched(store)
    ingestor.ingest([event("ann", "tea"), event("ann", "new", 3), event("bob", "tea", 4)], LIVE)
    ingestor.ingest([event("ann", "tea", 63), event("ann", "tea", 64, kind="impression")], LIVE)
    (bucket,) = counts(store).values()
    assert (bucket.num_events, bucket.num_new_users, bucket.num_new_items) == (5, 2, 1)
    assert bucket.topics == {TEA: 4, 0: 1}
    # 3 s and 60 s; who comes for the first time has no gap, and an impression is none of the user's doing
    assert bucket.gaps == {1: 1, 4: 1}


def test_an_event_delivered_again_is_not_counted_again() -> None:
    store = MemoryStore()
    ingestor = watched(store)
    for _ in range(2):
        ingestor.ingest([event("ann", "tea"), event("ann", "wok", 400)], LIVE)
    ingestor.ingest([event("ann", "tea", event_id="other")], offsets(0, 0))
    ingestor.ingest([event("ann", "tea", event_id="other")], offsets(0, 0))
    assert [bucket.num_events for bucket in counts(store).values()] == [2, 1]


@pytest.mark.parametrize(("gap_s", "bin_"), [(0, 0), (2, 1), (59, 3), (60, 4), (10**8, NUM_GAPS - 1)])
def test_a_gap_falls_into_the_bin_between_its_edges(gap_s: int, bin_: int) -> None:
    store = MemoryStore()
    watched(store).ingest([event("ann", "a"), event("ann", "b", gap_s)], LIVE)
    total = BucketCounts()
    for bucket in counts(store).values():
        total.add(bucket)
    assert total.gaps == {bin_: 1}
    assert bin_ == 0 or gap_s >= GAP_EDGES_S[bin_ - 1]


def test_a_rebuild_counts_what_ingest_counted() -> None:
    store = MemoryStore()
    for user_id in ("ann", "bob"):
        watched(store).ingest([event(user_id, f"i{n}", n * 100) for n in range(9)], LIVE)
    before = counts(store)
    rebuild(store, types=TYPES, shape=SHAPE, half_life_ms=DEFAULT_HALF_LIFE_MS, meta={}, progress=lambda _num: None)
    assert counts(store) == before


def test_a_topic_given_later_is_counted_from_then_on() -> None:
    store = MemoryStore()
    ingestor = watched(store)
    ingestor.ingest([event("ann", "tea")], LIVE)
    save_items(store, [Item("tea", categories=("Tea",))], clock=ManualClock(NOW_MS))
    ingestor.ingest([event("ann", "tea", 1)], LIVE)
    ingestor.ingest([event("ann", "tea", 2)], LIVE)
    (bucket,) = counts(store).values()
    assert bucket.topics == {0: 1, TEA: 2}


def test_live_events_of_users_with_a_past_are_sampled_one_of_each_user() -> None:
    store = MemoryStore()
    ingestor = watched(store)
    ingestor.ingest([event("ann", "a"), event("bob", "a")], LIVE)
    assert waiting(store) == []
    ingestor.ingest([event("ann", "b", 10), event("ann", "c", 11), event("cid", "a", 12)], LIVE)
    assert waiting(store) in ([10], [11])
    ingestor.ingest([event("bob", "c", 20, kind="impression")], LIVE)
    ingestor.ingest([event("bob", "b", 21)], RequestSource("import", live=False))
    assert len(waiting(store)) == 1


def test_sampling_stays_within_the_budget_per_minute() -> None:
    store, seconds = MemoryStore(), Seconds()
    ingestor = watched(store, per_minute=4, seconds=seconds)
    users = [f"u{n}" for n in range(30)]
    ingestor.ingest([event(user_id, "a") for user_id in users], LIVE)
    for minute, expected in ((0, 4), (0, 4), (1, 8), (9, 12)):  # what was not used is kept for a minute at most
        seconds.now_s = 60.0 * minute
        at_s = 100 + len(waiting(store)) * 10 + minute
        ingestor.ingest([event(user_id, "b", at_s + n) for n, user_id in enumerate(users)], LIVE)
        assert len(waiting(store)) == expected
