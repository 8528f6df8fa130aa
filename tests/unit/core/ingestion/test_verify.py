"""Verify: finds each kind of derived state that does not follow from the stored events, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event, ingestor
from doubles import MemoryStore

from core.clock import HOUR_MS
from core.corrections.undo import undo_event
from core.events.history import EMPTY_WINDOW
from core.ingestion.derivation import Derivation
from core.ingestion.sources import RequestSource
from core.ingestion.verify import Verification, verify
from core.ports.offsets import CORRECTIONS
from core.ports.store import Transaction
from core.records.item_counts import FIRST_TYPE, ItemCountKey
from core.records.outcomes import CountKey, Measure
from core.transitions.transition import WEEK_MS, Transition

DERIVATION = Derivation(TYPES, SHAPE)


def verified(store: MemoryStore) -> Verification:
    with store.read() as read:
        return verify(read, DERIVATION, progress=lambda _num: None)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    events = [event("ann", "tea", 0), event("ann", "mug", 1), event("bob", "tea", 2)]
    ingestor(store).ingest(events, RequestSource("api"))
    return store


def changed(store: MemoryStore, change: Callable[[Transaction], None]) -> None:
    with store.transaction() as tx:
        change(tx)
        tx.commit()


def test_state_that_ingest_kept_agrees(store: MemoryStore) -> None:
    result = verified(store)
    assert (result.num_events, result.num_users, result.examples) == (3, 2, [])


def test_a_lost_window_is_named_by_its_user(store: MemoryStore) -> None:
    changed(store, lambda tx: tx.users.save([replace(tx.users.lock(["bob"])["bob"], window=EMPTY_WINDOW)]))
    [difference] = verified(store).examples
    assert (difference.part, difference.name) == ("window", "bob")
    assert difference.stored.startswith("0 events")
    assert difference.expected.startswith("1 events")


def test_a_window_of_a_user_without_events_is_found(store: MemoryStore) -> None:
    def give_window(tx: Transaction) -> None:
        states = tx.users.lock(["ann", "new"])
        tx.users.save([replace(states["new"], window=states["ann"].window)])

    changed(store, give_window)
    assert [(found.part, found.name) for found in verified(store).examples] == [("window", "new")]


def test_a_sequence_below_that_of_an_event_is_found(store: MemoryStore) -> None:
    changed(store, lambda tx: tx.users.save([replace(tx.users.lock(["ann"])["ann"], seq=1)]))
    [difference] = verified(store).examples
    assert (difference.part, difference.stored, difference.expected) == ("sequence", "1", "2")


@pytest.mark.parametrize("weeks", [1, 20, 60])
def test_popularity_of_long_ago_may_be_gone_with_an_undone_event(store: MemoryStore, weeks: int) -> None:
    """After 40 half-lives, of a week each, nothing of it is left in the difference of two doubles."""
    recent = event("ann", "tea", weeks * WEEK_MS // 1000)
    ingestor(store).ingest([recent], RequestSource("api"))
    undo_event(store, recent.event_id, DERIVATION)
    assert verified(store).examples == []


def test_popularity_that_is_gone_without_a_newer_event_is_found(store: MemoryStore) -> None:
    changed(store, lambda tx: tx.popularity.clear())
    assert verified(store).different["popularity"] == 2


def test_popularity_counted_twice_is_named_by_its_item(store: MemoryStore) -> None:
    def count_again(tx: Transaction) -> None:
        tea = tx.items.by_id(["tea"])["tea"].key
        _, [score] = tx.popularity.scores_of(np.array([tea]))
        tx.popularity.add(tx.offsets.lock("again", [0])[0].key, {tea: float(score)})

    changed(store, count_again)
    assert [(found.part, found.name) for found in verified(store).examples] == [("popularity", "tea")]


def test_a_transition_that_replaces_another_is_found(store: MemoryStore) -> None:
    def replace_one(tx: Transaction) -> None:
        row = Transition._make(tx.transitions.since({}).rows[0].tolist())
        other = row._replace(week=row.week + 1)
        tx.transitions.add(tx.offsets.lock(CORRECTIONS, [0])[0].key, [row._replace(sign=-1), other])

    changed(store, replace_one)
    [difference] = verified(store).examples
    assert (difference.part, difference.name) == ("transitions", "tea")
    assert difference.stored[:1] == difference.expected[:1] == "2"


def test_an_event_count_is_named_by_its_bucket_and_type(store: MemoryStore) -> None:
    bucket_ms = NOW_MS // 300_000 * 300_000
    code = TYPES.code("click")
    changed(store, lambda tx: tx.event_counts.add(tx.offsets.lock("again", [0])[0].key, {(bucket_ms, code): 1}))
    by_step = {difference.name: difference for difference in verified(store).examples}
    bucket = f"5 minutes from {bucket_ms} ms, type {code}"
    hour = f"60 minutes from {NOW_MS - NOW_MS % HOUR_MS} ms, type {code}"
    assert len(by_step) == 3  # the third is the day
    assert {by_step[bucket].part, by_step[hour].part} == {"event count"}
    assert (by_step[bucket].stored, by_step[bucket].expected) == ("4", "3")


def test_many_differences_are_counted_and_the_first_are_kept(store: MemoryStore) -> None:
    events = [event(f"user-{index}", "tea") for index in range(50)]
    ingestor(store).ingest(events, RequestSource("api"))
    changed(store, lambda tx: tx.users.clear_windows())
    result = verified(store)
    assert result.different["window"] == 52
    assert len(result.examples) == 20


def test_an_outcome_that_was_counted_twice_is_named(store: MemoryStore) -> None:
    key = CountKey(19_000, 1, 3, Measure.CLICK)
    changed(store, lambda tx: tx.outcomes.add_counts(tx.offsets.lock("again", [0])[0].key, {key: (1, 0.0)}))
    result = verified(store)
    assert [found.name for found in result.examples] == ["click, day 19000", "click, origin 1", "click, position 3"]
    assert result.examples[0].stored == "(1, 0.0)"


def test_a_count_of_an_item_is_named_by_what_is_counted(store: MemoryStore) -> None:
    click, event_type = ItemCountKey(Measure.CLICK, 19_000, 7), ItemCountKey(FIRST_TYPE + 1, 19_000, 7)
    changed(store, lambda tx: tx.item_counts.add(tx.offsets.lock("again", [0])[0].key, {click: 1, event_type: 2}))
    names = [found.name for found in verified(store).examples if found.part == "item count"]
    assert names == ["click, item key 7", "type 1, item key 7", "click, day 19000", "type 1, day 19000"]


def test_attributes_of_no_user_are_named_by_their_key(store: MemoryStore) -> None:
    changed(store, lambda tx: tx.user_attributes.save({tx.users.lock(["ann"])["ann"].key: {"plan": "x"}}))
    assert verified(store).examples == []
    changed(store, lambda tx: tx.user_attributes.save({10**6: {"plan": "x"}}))
    assert [(found.part, found.name) for found in verified(store).examples] == [("attributes", "user key 1000000")]
