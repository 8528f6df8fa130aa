"""Corrections on every store: events undone, users erased, and what is derived from them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from corrected_shop import DERIVATION, NUM_EVENTS, USERS, ShopLog, Step, a_log, apply, assert_equal
from domain_doubles import NOW_MS, ingestor

from core.corrections.undo import undo_event
from core.drift_records import BucketCounts, SampledEvent
from core.errors import NotFound
from core.ingestion.sources import RequestSource
from core.interactions import Interaction
from core.ports.offsets import CORRECTIONS
from core.ports.store import Store
from core.statuses import EventStatus

CLICK = Interaction("e1", "ann", "lamp", "click", NOW_MS)
API = RequestSource("api")


def steps_of(draw: Random) -> list[Step]:
    steps: list[Step] = []
    for _ in range(10):
        kind = draw.choice(["send", "send", "send", "undo", "undo", "erase"])
        indices = draw.sample(range(NUM_EVENTS), draw.randint(1, 9 if kind == "send" else 2))
        steps.append((kind, draw.choice(USERS) if kind == "erase" else indices))
    return steps


@pytest.mark.parametrize("seed", range(4))
def test_corrections_leave_what_the_remaining_events_say(store: Store, seed: int) -> None:
    draw = Random(seed)
    log = ShopLog()
    apply(store, log, a_log(draw), steps_of(draw))
    assert_equal(store, log)


def test_an_undone_event_stays_undone_when_it_is_delivered_again(store: Store) -> None:
    writer = ingestor(store)
    writer.ingest([CLICK], API)
    undone = undo_event(store, "e1", DERIVATION)
    again = writer.ingest([CLICK], API)
    assert undo_event(store, "e1", DERIVATION) is None
    with store.read() as read:
        state = read.users.find("ann")
        assert read.totals().events == 0
    assert again.statuses == [EventStatus.DUPLICATE]
    assert state is not None
    assert undone is not None
    assert (state.key, state.seq, state.window.num_events) == (undone.key, 2, 0), "a vector of sequence 1 knows it"


def test_an_unknown_event_cannot_be_undone(store: Store) -> None:
    with pytest.raises(NotFound, match="event 'e1' is not stored"):
        undo_event(store, "e1", DERIVATION)
    assert ingestor(store).ingest([CLICK], API).statuses == [EventStatus.ACCEPTED]


def test_erasure_covers_the_time_of_an_undone_event(store: Store) -> None:
    writer = ingestor(store)
    late = Interaction("e2", "ann", "lamp", "click", NOW_MS + 1000)
    writer.ingest([CLICK, late], API)
    undo_event(store, "e2", DERIVATION)
    with store.transaction() as tx:
        assert tx.users.erase("ann", now_ms=NOW_MS)
        tx.commit()
    assert writer.ingest([late], API).statuses == [EventStatus.ERASED]


def test_an_undone_event_leaves_no_sample_for_drift(store: Store) -> None:
    ingestor(store).ingest([CLICK], API)
    with store.transaction() as tx:
        tx.drift.add_samples([SampledEvent(CLICK.event_key, 1, NOW_MS)])
        tx.commit()
    undo_event(store, "e1", DERIVATION)
    with store.read() as read:
        assert read.drift.unscored(limit=9) == []


def test_drift_counts_are_never_negative(store: Store) -> None:
    with store.transaction() as tx:
        first, second = (tx.offsets.lock(stream, [0])[0].key for stream in ("api", CORRECTIONS))
        tx.drift.add_counts(first, {0: BucketCounts(2)})
        tx.drift.add_counts(second, {0: BucketCounts(-1, -1)})
        tx.commit()
    with store.read() as read:
        assert read.drift.counts([0]) == {0: BucketCounts(1)}


def test_popularity_of_the_writer_of_corrections_is_subtracted(store: Store) -> None:
    with store.transaction() as tx:
        first, second = (tx.offsets.lock(stream, [0])[0].key for stream in ("api", CORRECTIONS))
        tx.popularity.add(first, {1: 3.0, 2: 1.0})
        tx.popularity.add(second, {1: 2.0, 2: 1.0})
        tx.commit()
    with store.read() as read:
        keys, scores = read.popularity.scores()
        rest = read.popularity.scores_of(np.array([2]))[1].tolist()
    assert (keys.tolist(), scores.tolist()) == ([1, 2], pytest.approx([2.0, -np.inf]))  # log2(8 - 4), and nothing
    assert rest == [-np.inf]


def test_users_are_locked_by_ascending_key(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.users.lock(["bob", "ann"])
        assert tx.users.lock_by_key([states["ann"].key, states["bob"].key, 99]) == sorted(
            states.values(), key=lambda state: state.key
        )
