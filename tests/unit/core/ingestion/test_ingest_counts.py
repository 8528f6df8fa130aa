"""Ingest: what is counted per writer, what a failure leaves behind, and the order in which locks are taken."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from domain_doubles import (
    NOW_MS,
    SHAPE,
    TYPES,
    ContestedStore,
    FailingStore,
    SpyingStore,
    event,
    history,
    ingestor,
    num_events,
    offsets,
)
from doubles import MemoryStore

from core.clock import DAY_MS
from core.conflicts import MAX_CONFLICTS
from core.errors import StoreUnavailable
from core.events.interactions import EventType, EventTypes
from core.ingestion.derivation import event_counts
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.outcomes.item_counts import item_event_counts
from core.records.drift import BUCKET_MS
from core.records.stored import MANY_EVENTS, EventRow

REQUEST = RequestSource("api")


# --- popularity and counts


def test_popularity_sums_decayed_weights_over_all_writers() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    bought = event("ann", "tea", 3600, kind="purchase")
    applier.ingest([event("ann", "tea", 0), bought, event("ann", "pen", 0, kind="impression")], REQUEST)
    applier.ingest([bought, event("bob", "tea", 7200), event("bob", "jam", 0)], offsets(0, 2))
    with store.read() as read:
        keys = {item_id: stored.key for item_id, stored in read.items.by_id(["tea", "jam", "pen"]).items()}
        scores = dict(zip(*(column.tolist() for column in read.popularity.scores()), strict=True))
    first_s = NOW_MS / 1000
    week_s = 7 * 86_400
    by_hand = math.log2(1 + 5 * 2 ** (3600 / week_s) + 2 ** (7200 / week_s)) + first_s / week_s
    assert scores[keys["tea"]] == pytest.approx(by_hand)
    assert scores[keys["tea"]] > scores[keys["jam"]]
    assert keys["pen"] not in scores  # an impression weighs nothing


def test_events_are_counted_by_five_minutes_of_event_time_type_and_writer() -> None:
    store = SpyingStore()
    bucket_ms = NOW_MS // BUCKET_MS * BUCKET_MS
    first, later = 0, 300
    ingestor(store).ingest(
        [
            event("ann", "a", first),
            event("bob", "a", first),
            event("ann", "a", later),
            event("ann", "a", 1, kind="like"),
        ],
        REQUEST,
    )
    ((_, counts),) = [args for name, args in store.calls if name == "event_counts.add"]
    click, like = TYPES.code("click"), TYPES.code("like")
    assert counts == {(bucket_ms, click): 2, (bucket_ms + BUCKET_MS, click): 1, (bucket_ms, like): 1}


def test_duplicates_are_not_counted_again() -> None:
    store = SpyingStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "a")], REQUEST)
    store.calls.clear()
    ingest([event("ann", "a")], REQUEST)
    assert {"events.insert", "users.save", "popularity.add", "event_counts.add"}.isdisjoint(
        name for name, _ in store.calls
    )


def test_where_no_type_weighs_anything_popularity_is_left_alone() -> None:
    store = SpyingStore()
    Ingestor(store, types=EventTypes((EventType("view", weight=0.0),)), shape=SHAPE).ingest(
        [event("ann", "a", kind="view")], REQUEST
    )
    assert "popularity.add" not in {name for name, _ in store.calls}


def test_the_stream_clock_follows_the_newest_event() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "a", 50), event("ann", "b", 10)], REQUEST)
    ingest([event("ann", "c", 20)], REQUEST)
    with store.read() as read:
        assert read.offsets.newest_event_ms() == NOW_MS + 50_000


# --- failures


def test_batch_can_be_applied_again_after_a_failed_commit() -> None:
    store = FailingStore()
    applier = ingestor(store)
    batch, source = [event("ann", "a", 0), event("ann", "b", 1)], offsets(0, 1)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        applier.ingest(batch, source)
    with store.read() as read:
        assert (read.users.find("ann"), read.totals().events, read.offsets.applied("interactions")) == (None, 0, {})
    store.failing = False
    assert applier.ingest(batch, source).num_accepted == 2


def test_a_conflict_is_tried_again_until_it_goes_through() -> None:
    store = ContestedStore(num_conflicts=MAX_CONFLICTS - 1)
    assert ingestor(store).ingest([event("ann", "a")], offsets(0, 0)).num_accepted == 1
    assert history(store) == ["a"]


def test_conflicts_without_end_are_given_up_and_nothing_was_applied() -> None:
    store = ContestedStore(num_conflicts=MAX_CONFLICTS)
    with pytest.raises(StoreUnavailable, match="8 conflicts in a row while applying 1 events; send them again"):
        ingestor(store).ingest([event("ann", "a")], REQUEST)
    assert num_events(store) == 0


# --- the order of locks


LOCKS = {
    "offsets.lock": "a",
    "offsets.save": "a",
    "users.lock_known": "b",
    "events.insert": "c",
    "users.save": "d",
    "popularity.add": "e",
    "event_counts.add": "e",
    "users.insert": "f",
    "commit": "commit",
}


def test_locks_are_taken_in_the_documented_order() -> None:
    store = SpyingStore()
    applier = ingestor(store)
    applier.ingest([event("bob", "w", 10), event("ann", "w", 10)], offsets(0, 1))
    store.calls.clear()
    applier.ingest([event("cid", "z", 20), event("bob", "x", 5), event("ann", "y", 20)], offsets(2, 4))
    steps = [LOCKS[name] for name, _ in store.calls if name in LOCKS]
    assert steps == ["a", "a", "b", "c", "d", "e", "e", "f", "commit"]
    arguments = dict(store.calls)
    assert arguments["users.lock_known"][0] == ["ann", "bob", "cid"]
    assert list(arguments["users.insert"][0]) == ["cid"]
    assert arguments["items.resolve"][0] == ["x", "y", "z"]
    inserted = [row.event_key for row in arguments["events.insert"][0]]
    assert inserted == sorted(inserted)
    popular = list(arguments["popularity.add"][1])
    assert popular == sorted(popular)


def test_item_keys_are_cached_after_the_commit() -> None:
    store = SpyingStore()
    applier = ingestor(store)

    def looked_up() -> list[list[str]]:
        return [arguments[0] for name, arguments in store.calls if name == "items.resolve"]

    def fail(_tx: object) -> None:
        raise RuntimeError("before the commit")

    with pytest.raises(RuntimeError, match="before the commit"):
        applier.ingest([event("ann", "x")], REQUEST, extra_writes=fail)
    applier.ingest([event("ann", "x")], REQUEST)
    applier.ingest([event("ann", "x", 1), event("bob", "y", 1)], REQUEST)
    applier.clear_caches()
    applier.ingest([event("ann", "x", 2)], REQUEST)
    assert looked_up() == [["x"], ["x"], ["y"], ["x"]]


def test_the_number_of_statements_does_not_grow_with_the_batch() -> None:
    def num_calls(num_users: int) -> int:
        store = SpyingStore()
        ingestor(store).ingest([event(f"u{i}", f"i{i % 7}", i) for i in range(num_users)], REQUEST)
        return len(store.calls)

    assert num_calls(2) == num_calls(200)


@pytest.mark.parametrize("num", [MANY_EVENTS - 1, MANY_EVENTS, 3 * MANY_EVENTS])
def test_many_events_are_counted_as_few_are(num: int) -> None:
    draw = Random(num)
    rows = [
        EventRow(b"", 1, draw.randrange(9), draw.randrange(3), NOW_MS + draw.randrange(5 * DAY_MS), 1, None, None, None)
        for _ in range(num)
    ]
    by_type = Counter((row.time_ms // BUCKET_MS * BUCKET_MS, row.type_code) for row in rows)
    by_item = Counter((16 + row.type_code, row.time_ms // DAY_MS, row.item_key) for row in rows)
    assert event_counts(rows) == by_type
    assert item_event_counts(rows) == by_item
