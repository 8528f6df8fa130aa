"""Corrections on every store: events undone, users merged and erased, and what is derived from them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from corrected_shop import DERIVATION, NUM_EVENTS, USERS, ShopLog, Step, a_log, apply, assert_equal
from domain_doubles import NOW_MS, ingestor

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.corrections.merge import merge_users
from core.corrections.undo import undo_event
from core.errors import InvalidInput, NotFound
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.ports.offsets import CORRECTIONS
from core.ports.store import Store
from core.records.drift import BucketCounts, SampledEvent
from core.records.statuses import EventStatus
from core.records.stored import KnownId

CLICK = Interaction("e1", "ann", "lamp", "click", NOW_MS)
API = RequestSource("api")
IMPORT = RequestSource("import", live=False)


def steps_of(draw: Random) -> list[Step]:
    steps: list[Step] = []
    for _ in range(10):
        kind = draw.choice(["send", "send", "send", "undo", "undo", "merge", "erase"])
        indices = draw.sample(range(NUM_EVENTS), draw.randint(1, 9 if kind == "send" else 2))
        users = {"merge": draw.sample(USERS, 2), "erase": draw.choice(USERS)}
        steps.append((kind, users.get(kind, indices)))
    return steps


@pytest.mark.parametrize("seed", range(6))
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


def test_an_undone_event_stays_undone_when_it_is_imported(store: Store) -> None:
    writer = ingestor(store)
    writer.ingest([CLICK], IMPORT)
    with store.read() as read:
        assert not read.events.any_undone()
    undo_event(store, "e1", DERIVATION)
    with store.read() as read:
        assert read.events.any_undone()
    assert ingestor(store).ingest([CLICK], IMPORT).statuses == [EventStatus.DUPLICATE]


def test_imports_count_events_once_whatever_they_hold(store: Store) -> None:
    """Batches of new events, of known ones, of both, and of one event twice; each is applied by one attempt or two."""
    writer = ingestor(store)
    events = [replace(CLICK, event_id=f"n{number}", time_ms=CLICK.time_ms + number) for number in range(6)]
    new, known = EventStatus.ACCEPTED, EventStatus.DUPLICATE
    for numbers, statuses in (
        ([0, 1], [new, new]),
        ([1, 2], [known, new]),
        ([3], [new]),
        ([4, 4], [new, known]),
        ([0, 1, 2, 3, 4], [known] * 5),
        ([4, 5], [known, new]),
    ):
        assert writer.ingest([events[number] for number in numbers], IMPORT).statuses == statuses
    with store.read() as read:
        state = read.users.find("ann")
        assert read.totals().events == 6
    assert state is not None
    assert (state.seq, state.window.num_events) == (6, 6)


def test_an_unknown_event_cannot_be_undone(store: Store) -> None:
    with pytest.raises(NotFound, match="event 'e1' is not stored"):
        undo_event(store, "e1", DERIVATION)
    assert ingestor(store).ingest([CLICK], API).statuses == [EventStatus.ACCEPTED]


def test_a_merged_guest_is_the_user_for_reads_events_and_redeliveries(store: Store) -> None:
    writer = ingestor(store)
    seen = Interaction("g1", "guest", "rope", "click", NOW_MS - 1)
    writer.ingest([CLICK, seen], API)
    state, num_gained = merge_users(store, "ann", "guest", DERIVATION)
    later = Interaction("g2", "guest", "mug", "click", NOW_MS + 1)
    outcome = writer.ingest([seen, later, CLICK], API)
    with store.read() as read:
        ann, guest = read.users.find("ann"), read.users.find("guest")
        _, snapshot = read.users.snapshot("guest", type_codes=[0, 1])
        assert [user_id for user_id, _ in read.users.page()] == ["ann"]
        assert (read.totals().users, read.totals().events) == (1, 3)
    assert (num_gained, state.seq, state.window.num_events) == (1, 3, 2)
    assert outcome.statuses == [EventStatus.DUPLICATE, EventStatus.ACCEPTED, EventStatus.DUPLICATE]
    assert ann is not None
    assert guest is not None
    assert snapshot is not None
    assert (ann.key, ann.seq) == (guest.key, guest.seq) == (snapshot.state.key, 4)
    assert ann.window.history.times_ms.tolist() == [NOW_MS - 1, NOW_MS, NOW_MS + 1]


def test_merging_again_or_into_a_merged_id_changes_nothing(store: Store) -> None:
    ingestor(store).ingest([CLICK], API)
    first, _ = merge_users(store, "ann", "guest", DERIVATION)
    again, num_gained = merge_users(store, "guest", "ann", DERIVATION)
    assert (again.key, again.seq, num_gained) == (first.key, first.seq, 0)


def test_a_merged_guest_cannot_be_merged_into_another_user(store: Store) -> None:
    merge_users(store, "ann", "guest", DERIVATION)
    with pytest.raises(InvalidInput, match="from: 'guest' is merged into another user already"):
        merge_users(store, "bob", "guest", DERIVATION)
    with pytest.raises(InvalidInput, match="from: wanted another user than 'ann'"):
        merge_users(store, "ann", "ann", DERIVATION)


def test_guests_of_a_merged_user_follow_it(store: Store) -> None:
    merge_users(store, "ann", "guest", DERIVATION)
    state, _ = merge_users(store, "bob", "ann", DERIVATION)
    with store.transaction() as tx:
        assert tx.users.ids_of(state.key)[1:] == ["ann", "guest"]
        assert tx.users.lock_known(["guest"])["guest"].key == state.key
        known = {user_id: KnownId(state.key, "bob", None) for user_id in ("ann", "bob", "guest")}
        assert tx.users.lock_ids(["ann", "bob", "guest", "nobody"]) == known


def test_erasing_a_guest_erases_the_user_and_both_pasts(store: Store) -> None:
    writer = ingestor(store)
    seen = Interaction("g1", "guest", "rope", "click", NOW_MS - 1)
    writer.ingest([CLICK, seen], API)
    merge_users(store, "ann", "guest", DERIVATION)
    erase_user(store, "guest", clock=ManualClock(NOW_MS), derivation=DERIVATION)
    assert writer.ingest([CLICK, seen], API).statuses == [EventStatus.ERASED, EventStatus.ERASED]
    with store.read() as read:
        assert read.totals().users == 0
        assert read.users.erasure_times(["ann", "guest"]) == {"ann": NOW_MS, "guest": NOW_MS}
    assert writer.ingest([Interaction("g3", "guest", "mug", "click", NOW_MS + 9)], API).num_accepted == 1
    with store.read() as read:
        assert read.users.find("ann") is None


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
