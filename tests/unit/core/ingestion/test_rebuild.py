"""Rebuild: derived state computed anew equals what ingest kept, or what ingest would have kept under new settings."""

from __future__ import annotations

from collections import Counter

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event, history, ingestor, num_events, user
from doubles import MemoryStore
from hypothesis import given
from hypothesis import strategies as st
from memory_store.events import MemoryEvents

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.events.history import WindowShape
from core.events.interactions import EventType, EventTypes, Interaction
from core.ingestion.derivation import Derivation
from core.ingestion.rebuild import rebuild
from core.ingestion.sources import RequestSource
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.transitions.transition import Transition

KINDS = ["click", "purchase", "dislike", "impression"]
a_log = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "cid"]), st.integers(0, 4), st.sampled_from(KINDS)), max_size=30
)
REQUEST = RequestSource("api")


def rebuilt(store: MemoryStore, *, types: EventTypes = TYPES, shape: WindowShape = SHAPE) -> list[int]:
    progress: list[int] = []
    rebuild(
        store,
        types=types,
        shape=shape,
        half_life_ms=DEFAULT_HALF_LIFE_MS,
        meta={"window": "new"},
        progress=progress.append,
    )
    return progress


def windows(store: MemoryStore) -> dict[str, tuple[int, int, list[str]]]:
    with store.read() as read:
        known = [user_id for user_id in ("ann", "bob", "cid") if read.users.find(user_id)]
    states = {user_id: user(store, user_id) for user_id in known}
    return {name: (state.seq, state.window.num_events, history(store, name)) for name, state in states.items()}


def popularity(store: MemoryStore) -> dict[int, float]:
    with store.read() as read:
        keys, scores = read.popularity.scores()
    return dict(zip(keys.tolist(), scores.tolist(), strict=True))


def transitions(store: MemoryStore) -> dict[Transition, int]:
    totals: Counter[Transition] = Counter()
    with store.read() as read:
        for row in map(Transition._make, read.transitions.since({}).rows.tolist()):
            totals[row._replace(sign=1)] += row.sign
    return {transition: count for transition, count in totals.items() if count}


def counts(store: MemoryStore) -> dict[tuple[int, int], int]:
    totals: dict[tuple[int, int], int] = {}
    with store.read() as read:
        for (bucket_ms, _, type_code), num in read.data.counts.items():
            totals[bucket_ms, type_code] = totals.get((bucket_ms, type_code), 0) + num
    return totals


def log_of(rows: list[tuple[str, int, str]]) -> list[Interaction]:
    return [event(user_id, f"i{item}", second * 100, kind=kind) for second, (user_id, item, kind) in enumerate(rows)]


@given(a_log)
def test_under_the_same_settings_rebuild_changes_nothing(rows: list[tuple[str, int, str]]) -> None:
    store = MemoryStore()
    for interaction in log_of(rows)[::-1]:
        ingestor(store).ingest([interaction], REQUEST)
    before = windows(store), counts(store), transitions(store)
    scores = popularity(store)
    assert rebuilt(store)[-1:] == ([len(rows)] if rows else [])
    assert (windows(store), counts(store), transitions(store)) == before
    assert popularity(store) == pytest.approx(scores)


@given(a_log)
def test_under_new_settings_it_is_as_if_they_had_always_held(rows: list[tuple[str, int, str]]) -> None:
    shape = WindowShape(size=3, step=1)
    table = [
        EventType("click", window=False),
        EventType("purchase", weight=0.0),
        EventType("dislike"),
        EventType("impression"),
    ]
    old, new = (EventTypes(tuple(kinds)) for kinds in ([EventType(name) for name in KINDS], table))
    store, fresh = MemoryStore(), MemoryStore()
    ingestor(store, types=old).ingest(log_of(rows), REQUEST)
    ingestor(fresh, types=new, shape=shape).ingest(log_of(rows), REQUEST)
    rebuilt(store, types=new, shape=shape)
    assert windows(store) == windows(fresh)
    assert popularity(store) == pytest.approx(popularity(fresh))
    assert transitions(store) == transitions(fresh)


def test_users_are_whole_even_where_the_events_come_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    ingestor(store).ingest(
        [event(name, f"i{at_s}", at_s) for name in ("ann", "bob", "cid") for at_s in range(4)], REQUEST
    )
    before = windows(store)
    pages = MemoryEvents.pages
    monkeypatch.setattr(MemoryEvents, "pages", lambda events: pages(events, chunk=3))
    progress = rebuilt(store)
    assert windows(store) == before
    assert progress == [4, 8, 12]


def test_the_settings_it_used_are_noted_with_it() -> None:
    store = MemoryStore()
    rebuilt(store)
    with store.read() as read:
        assert read.metadata.all() == {"window": "new"}


def test_an_erased_past_stays_erased() -> None:
    store = MemoryStore()
    ingestor(store).ingest([event("ann", "a")], REQUEST)
    erase_user(store, "ann", clock=ManualClock(NOW_MS + 60_000), derivation=Derivation(TYPES, SHAPE))
    ingestor(store).ingest([event("ann", "b", 61)], REQUEST)
    rebuilt(store)
    ingestor(store).ingest([event("ann", "a")], REQUEST)
    assert (windows(store), num_events(store)) == ({"ann": (2, 1, ["b"])}, 1)


def test_a_rebuild_that_breaks_leaves_everything_as_it_was() -> None:
    store = MemoryStore()
    ingestor(store).ingest([event("ann", "a")], REQUEST)
    before = windows(store), popularity(store)

    def stop(num_events: int) -> None:
        msg = "stopped by hand"
        raise KeyboardInterrupt(msg)

    with pytest.raises(KeyboardInterrupt):
        rebuild(store, types=TYPES, shape=SHAPE, half_life_ms=1.0, meta={}, progress=stop)
    assert (windows(store), popularity(store)) == before


def test_rebuild_applies_a_threshold_to_stored_values_and_takes_it_back() -> None:
    store = MemoryStore()
    plain, rated = (EventTypes((EventType("rating", dislike_below=below),)) for below in (None, 3.0))
    low = Interaction("e1", "ann", "i1", "rating", NOW_MS + 1, 1.0)
    high = Interaction("e5", "ann", "i5", "rating", NOW_MS + 5, 5.0)
    ingestor(store, types=plain).ingest([low, high], REQUEST)
    before = windows(store), counts(store), popularity(store)
    rebuilt(store, types=rated)
    kept, now_popular = windows(store), list(popularity(store))
    with store.read() as read:
        hidden = read.events.columns(type_codes=[code for code, kind in rated.kinds.items() if kind.hide])
    rebuilt(store, types=plain)
    assert kept == {"ann": (2, 1, ["i5"])}
    assert (len(now_popular), hidden.times_ms.tolist()) == (1, [NOW_MS + 1])
    assert (windows(store), counts(store), popularity(store)) == before
