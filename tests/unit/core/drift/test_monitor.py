"""The monitor: one at a time, in order, whatever is killed in between; what it stored is never read differently."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event
from domain_shop import Shop
from doubles import MemoryStore, MemoryTransaction
from drift_doubles import monitor_of

from core.drift.counting import DriftSampler
from core.drift.monitor import GRACE_MS, bucket_of
from core.errors import StoreUnavailable
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.records.drift import BUCKET_MS, BucketCounts, Score, ScoreTally
from core.records.stored import UserShift

START_MS = NOW_MS // BUCKET_MS * BUCKET_MS
FIRST_S = (START_MS - NOW_MS) // 1000


def visit(shop: Shop, bucket: int, *item_ids: str, user_id: str = "ann") -> None:
    """Clicks in the n-th bucket, one second apart."""
    sampler = DriftSampler(window_codes=TYPES.flagged("window"), samples_per_minute=10**6)
    ingestor = Ingestor(shop.store, types=TYPES, shape=SHAPE, sampler=sampler)
    for second, item_id in enumerate(item_ids):
        at_s = FIRST_S + bucket * BUCKET_MS // 1000 + second
        ingestor.ingest([event(user_id, item_id, at_s)], RequestSource("api"))


def at_the_end_of(shop: Shop, bucket: int) -> None:
    shop.clock.time_ms = START_MS + (bucket + 1) * BUCKET_MS + GRACE_MS


def closed(shop: Shop) -> list[tuple[int, int]]:
    """(number of the bucket, events) of what was read."""
    with shop.store.read() as read:
        buckets = read.drift.buckets()
    return [((bucket.start_ms - START_MS) // BUCKET_MS, bucket.counts.num_events) for bucket in buckets]


def test_bucket_is_closed_after_the_grace_period() -> None:
    shop = Shop()
    visit(shop, 0, "a", "b")
    at_the_end_of(shop, 0)
    shop.clock.time_ms -= 1
    monitor = monitor_of(shop)
    assert monitor.step()
    assert closed(shop) == []
    shop.clock.time_ms += 1
    assert monitor.step()
    assert closed(shop) == [(0, 2)]


def test_buckets_of_answers_alone_wait_for_the_next_events() -> None:
    shop = Shop()
    visit(shop, 0, "a", "b")
    with shop.store.transaction() as tx:
        tx.drift.add_counts(99, {START_MS + number * BUCKET_MS: BucketCounts(num_answers=5) for number in range(1, 4)})
        tx.commit()
    at_the_end_of(shop, 4)
    monitor = monitor_of(shop)
    assert monitor.catch_up()
    assert closed(shop) == [(0, 2)]
    visit(shop, 2, "c")  # an import, of events before the newest answer
    assert monitor.catch_up()
    assert closed(shop) == [(0, 2), (1, 0), (2, 1)]


def test_events_that_come_too_late_change_nothing_that_was_read() -> None:
    shop = Shop()
    visit(shop, 0, "a", "b")
    at_the_end_of(shop, 0)
    monitor = monitor_of(shop)
    monitor.step()
    visit(shop, 0, "c", user_id="bob")
    visit(shop, 1, "c")
    at_the_end_of(shop, 1)
    monitor.step()
    assert closed(shop) == [(0, 2), (1, 1)]


def test_what_was_sampled_is_scored_before_its_bucket_closes() -> None:
    shop = Shop()
    visit(shop, 0, "a", "b", "c")
    at_the_end_of(shop, 0)
    monitor_of(shop).step()
    with shop.store.read() as read:
        (bucket,) = read.drift.buckets()
    assert bucket.version == "v1"
    assert bucket.tally.num == 1  # two scores of one user are one observation
    assert bucket.tally.hits == 1.0


def test_the_interests_of_users_with_sampled_events_are_tested() -> None:
    shop = Shop()
    visit(shop, 0, "a", "b")
    monitor_of(shop, shifts=lambda keys: [UserShift(key, START_MS, 0.5) for key in keys]).step()
    with shop.store.read() as read:
        assert [(user.user_id, user.shift_ms, user.shift_distance) for user in read.users.by_shift()] == [
            ("ann", START_MS, 0.5)
        ]


def test_a_backlog_waits_while_it_grows() -> None:
    shop = Shop()
    visit(shop, 0, "a")
    visit(shop, 1, "b")
    at_the_end_of(shop, 5)
    monitor = monitor_of(shop)
    monitor.step()
    assert closed(shop) == []
    visit(shop, 1, "c", user_id="bob")
    monitor.step()
    assert closed(shop) == []
    monitor.step()
    assert closed(shop) == [(0, 1), (1, 2)]


def test_a_backlog_waits_for_a_bucket_that_appears_within_it() -> None:
    shop = Shop()
    visit(shop, 0, "a")
    visit(shop, 2, "b")
    at_the_end_of(shop, 5)
    monitor = monitor_of(shop)
    monitor.step()
    visit(shop, 1, "c", user_id="bob")
    monitor.step()
    assert closed(shop) == []
    monitor.step()
    assert closed(shop) == [(0, 1), (1, 1), (2, 1)]


class GrowingStore(MemoryStore):
    """A store to which `grow` adds once a bucket is closed."""

    grow: Callable[[], None] | None = None

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with super().transaction() as tx:
            yield tx
        if self.grow is not None and self._data.drift.buckets:
            grow, self.grow = self.grow, None
            grow()


def test_a_backlog_that_grows_while_it_is_closed_waits_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.drift.monitor.MAX_CLOSED", 1)
    store = GrowingStore()
    shop = Shop(store=store)
    for bucket in range(3):
        visit(shop, bucket, "a")
    at_the_end_of(shop, 2)
    monitor = monitor_of(shop)
    monitor.step()
    store.grow = lambda: visit(shop, 1, "b", user_id="bob")
    monitor.step()
    assert closed(shop) == [(0, 1)]
    assert monitor.catch_up()
    assert closed(shop) == [(0, 1), (1, 2), (2, 1)]


def test_monitor_catches_up_during_live_events() -> None:
    shop = Shop()
    visit(shop, 0, "a")
    visit(shop, 1, "b")
    at_the_end_of(shop, 1)
    monitor = monitor_of(shop)
    for second in range(3):
        visit(shop, 3, "c", user_id=f"user-{second}")
        monitor.step()
    assert closed(shop) == [(0, 1), (1, 1)]


def test_second_monitor_continues_where_the_first_stopped() -> None:
    shop = Shop()
    visit(shop, 0, "a")
    at_the_end_of(shop, 0)
    first, second = monitor_of(shop, "one"), monitor_of(shop, "two")
    assert first.step()
    assert not second.step()
    first.release()
    visit(shop, 1, "b")
    at_the_end_of(shop, 1)
    assert second.step()
    assert not first.step()
    assert closed(shop) == [(0, 1), (1, 1)]


class _Interrupted(MemoryTransaction):
    def commit(self) -> None:
        if self.data.drift.buckets:
            raise StoreUnavailable("the machine went down; nothing was stored")
        super().commit()


class CrashingStore(MemoryStore):
    """A store whose next transaction with a closed bucket is lost."""

    crashes = False

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with super().transaction() as tx:
            if self.crashes:
                tx.__class__ = _Interrupted
            yield tx


def test_a_crash_before_the_commit_loses_nothing_and_reads_nothing_twice() -> None:
    store = CrashingStore()
    shop = Shop(store=store)
    visit(shop, 0, "a", "b")
    at_the_end_of(shop, 0)
    monitor = monitor_of(shop)
    store.crashes = True
    with pytest.raises(StoreUnavailable):
        monitor.step()
    store.crashes = False
    assert closed(shop) == []
    monitor.step()
    assert closed(shop) == [(0, 2)]
    assert monitor.num_buckets == 1


def test_a_stop_ends_the_start_and_the_next_monitor_continues() -> None:
    shop = Shop()
    visit(shop, 0, "a", "b")
    visit(shop, 1, "a", "b")
    at_the_end_of(shop, 1)
    assert monitor_of(shop).catch_up()
    stopped = monitor_of(shop)
    visit(shop, 2, "c")
    at_the_end_of(shop, 2)
    stopped.request_stop()
    assert stopped.step()
    assert (stopped.num_buckets, closed(shop)) == (0, [(0, 2), (1, 2)])
    stopped.release()
    assert monitor_of(shop).catch_up()
    assert closed(shop) == [(0, 2), (1, 2), (2, 1)]


def test_catching_up_reads_everything_that_can_be_closed() -> None:
    shop = Shop()
    for bucket in range(5):
        visit(shop, bucket, "a")
    at_the_end_of(shop, 3)
    assert monitor_of(shop).catch_up()
    assert [number for number, _ in closed(shop)] == [0, 1, 2, 3]


def score(
    user: int,
    rank: int | None,
    loss: float | None,
    *,
    version: str | None = "v1",
    topic: int = 1,
    confidence: float | None = None,
) -> Score:
    segments = ("category=Tea",) if topic == 1 else ()
    return Score(bytes([user]), user, 0, version, rank, loss, topic, segments, confidence)


def test_bucket_holds_one_model_and_one_observation_per_user() -> None:
    scores = [
        score(1, 1, 2.0, version="v0"),
        score(1, 1, 2.0, confidence=0.75),
        score(1, 99, 4.0, confidence=0.25),
        score(2, 10, 1.0, topic=2),
        score(3, None, None, version=None),
    ]
    bucket = bucket_of(0, BucketCounts(7), scores)
    assert bucket.version == "v1"
    assert bucket.tally == ScoreTally(2, 1.5, 4.0, 10.0, 1, 0.5), "a score from before the confidence was kept has none"
    assert bucket.topics == {1: ScoreTally(1, 0.5, 3.0, 9.0, 1, 0.5), 2: ScoreTally(1, 1.0, 1.0, 1.0)}
    assert bucket.segments == {"category=Tea": ScoreTally(1, 0.5, 3.0, 9.0, 1, 0.5)}
    assert bucket_of(0, BucketCounts(7), []).version is None
