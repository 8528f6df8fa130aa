"""Ingest as a function of the set of events: arrival order, batching and repetition change no history and no window."""

from __future__ import annotations

from collections import Counter

import pytest
from domain_doubles import SHAPE, event, ingestor, item_ids, offsets
from doubles import MemoryStore
from hypothesis import given
from hypothesis import strategies as st

from core.events.history import WindowShape
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource

# Distinct times: the list index is the time, so a permutation of the list is an arrival order.
KINDS = ["click", "purchase", "dislike", "impression"]
a_log = st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 5), st.sampled_from(KINDS)), max_size=24)
Log = list[tuple[str, int, str]]
WINDOWED = {"click", "purchase"}


def events_of(log: Log) -> list[Interaction]:
    return [event(user_id, f"i{item}", at_s, kind=kind) for at_s, (user_id, item, kind) in enumerate(log)]


def window_by_hand(log: Log, user_id: str, shape: WindowShape) -> tuple[int, list[str]]:
    """The window rule of docs/architecture.md in plain Python: drop S events at a time until at most W + S are left."""
    items = [f"i{item}" for owner, item, kind in log if owner == user_id and kind in WINDOWED]
    num_events = len(items)
    while len(items) > shape.size:
        items = items[shape.step :]
    return num_events, items


def state_of(store: MemoryStore) -> dict[str, tuple[int, int, list[str]]]:
    with store.read() as read:
        states = {user_id: read.users.find(user_id) for user_id in ("ann", "bob")}
    return {
        user_id: (state.seq, state.window.num_events, item_ids(store, state.window))
        for user_id, state in states.items()
        if state is not None
    }


def popularity_of(store: MemoryStore) -> dict[str, float]:
    with store.read() as read:
        keys, scores = read.popularity.scores()
        names = read.items.by_key(keys.tolist())
    return {names[key].item.item_id: score for key, score in zip(keys.tolist(), scores.tolist(), strict=True)}


def transitions_of(store: MemoryStore) -> dict[tuple[object, ...], int]:
    """The sum of the log, by item ids."""
    counts: Counter[tuple[object, ...]] = Counter()
    with store.read() as read:
        names = {stored.key: item_id for item_id, stored in read.data.items.items()}
        for item, week, count, *previous in read.transitions.since({}).rows.tolist():
            counts[names[item], week, *(names.get(key) for key in previous)] += count
    return {transition: count for transition, count in counts.items() if count}


@given(a_log.flatmap(lambda log: st.tuples(st.just(log), st.permutations(range(len(log))))), st.data())
def test_state_does_not_depend_on_arrival_order_batches_or_repeats(
    case: tuple[Log, list[int]], data: st.DataObject
) -> None:
    log, order = case
    events = events_of(log)
    repeats = data.draw(st.lists(st.sampled_from(order), max_size=5)) if order else []
    arriving = [events[index] for index in [*order, *repeats]]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arriving)), max_size=5)))
    store = MemoryStore()
    applier = ingestor(store)
    for start, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True):
        applier.ingest(arriving[start:end], RequestSource("api"))

    for user_id, (seq, num_events, window) in state_of(store).items():
        assert (num_events, window) == window_by_hand(log, user_id, SHAPE)
        assert seq == sum(owner == user_id for owner, _, _ in log)
    straight = MemoryStore()
    ingestor(straight).ingest(events, RequestSource("api"))
    assert state_of(store) == state_of(straight)
    assert popularity_of(store) == pytest.approx(popularity_of(straight))
    assert transitions_of(store) == transitions_of(straight)
    assert sum(transitions_of(store).values()) == sum(kind in WINDOWED for _, _, kind in log)


@given(a_log)
def test_ingesting_twice_is_ingesting_once(log: Log) -> None:
    single, repeated = MemoryStore(), MemoryStore()
    ingestor(single).ingest(events_of(log), RequestSource("api"))
    for _ in range(2):
        ingestor(repeated).ingest(events_of(log), RequestSource("api"))
    assert state_of(repeated) == state_of(single)
    assert popularity_of(repeated) == popularity_of(single)
    assert transitions_of(repeated) == transitions_of(single)


@given(a_log, st.lists(st.integers(0, 24), max_size=6))
def test_redelivery_from_any_offset_ends_in_the_same_state(log: Log, rewinds: list[int]) -> None:
    events = events_of(log)
    store, straight = MemoryStore(), MemoryStore()
    applier = ingestor(store)
    reached = 0
    for rewind in [*rewinds, 0]:
        start = min(rewind, reached)
        end = len(events) if rewind == 0 else min(len(events), reached + 5)
        if start < end:
            applier.ingest(events[start:end], offsets(start, end - 1))
            applier.clear_caches()
        reached = max(reached, end)
    if events:
        ingestor(straight).ingest(events, offsets(0, len(events) - 1))
    assert state_of(store) == state_of(straight)
