"""Saved counts: a process that starts from them has the counts of the whole log; others are discarded with a reason."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from domain_doubles import SHAPE, AxisBundle, BruteForceIndex, MemoryArrayFolders, ReadSpyingStore
from hypothesis import given
from hypothesis import strategies as st

from core.events.interactions import EventTypes
from core.ingestion.rebuild import rebuild
from core.ports.array_folders import Arrays, DamagedArrays
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.saved_snapshots.saved_counts import PERIOD_S, YOUNG_S, SavedCounts
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.strongest import Neighbours
from core.transitions.transition import Transition, TransitionChanges, taken_back

RULES = CountRules()
ITEMS = range(1, 6)
some_transitions = st.lists(
    st.builds(
        Transition,
        *(
            st.integers(1, 5),
            st.integers(100, 200),
            st.just(1),
            st.integers(0, 5),
            st.integers(0, 5),
            st.integers(0, 5),
        ),
    ),
    min_size=1,
    max_size=12,
)


def add(store: ReadSpyingStore, transitions: list[Transition], *, partition: int = 0) -> None:
    with store.transaction() as tx:
        tx.transitions.add(tx.offsets.lock("api", [partition])[partition].key, transitions)
        tx.commit()


def saved_counts(folders: MemoryArrayFolders, program: str = "tests", rules: CountRules = RULES) -> SavedCounts:
    return SavedCounts(folders, program, rules, min_rows=1)


def loaded(store: ReadSpyingStore, saved: SavedCounts) -> TransitionCounts | None:
    with store.read() as read:
        found = saved.load(read)
    if found is None:
        return None
    found.counts.apply(found.new)
    return found.counts


def rebuild_log(store: ReadSpyingStore) -> None:
    rebuild(store, types=EventTypes(), shape=SHAPE, half_life_ms=1.0, meta={}, progress=lambda num_events: None)


def process(store: ReadSpyingStore, folders: MemoryArrayFolders) -> SnapshotManager:
    """The snapshots of a process that has started."""
    snapshots = SnapshotManager(
        store,
        load=lambda record: AxisBundle(record.version),
        build=BruteForceIndex,
        shape=SHAPE,
        count_rules=RULES,
        saved_counts=saved_counts(folders),
    )
    snapshots.refresh()
    return snapshots


def from_scratch(store: ReadSpyingStore) -> TransitionCounts:
    counts = TransitionCounts(RULES)
    with store.read() as read:
        counts.apply(read.transitions.since({}))
    return counts


def as_dict(neighbours: Neighbours) -> dict[int, float]:
    return dict(zip(neighbours.keys.tolist(), neighbours.counts.tolist(), strict=True))


def assert_equal(counts: TransitionCounts | None, expected: TransitionCounts) -> None:
    assert counts is not None
    assert (counts.position, counts.num_rows) == (expected.position, expected.num_rows)
    for item in ITEMS:
        assert as_dict(counts.after(item)) == pytest.approx(as_dict(expected.after(item)), rel=1e-4)
        assert as_dict(counts.before(item)) == pytest.approx(as_dict(expected.before(item)), rel=1e-4)
    keys = np.array(ITEMS)
    np.testing.assert_allclose(counts.shares(keys), expected.shares(keys), atol=1e-12)
    np.testing.assert_array_equal(counts.num_events(keys), expected.num_events(keys))


@given(some_transitions, some_transitions, some_transitions)
def test_saved_counts_and_what_follows_are_those_of_the_whole_log(
    first: list[Transition], second: list[Transition], third: list[Transition]
) -> None:
    store, folders = ReadSpyingStore(), MemoryArrayFolders()
    saved = saved_counts(folders)
    add(store, first)
    assert saved.save_if_due(store, len(first))
    add(store, second)
    add(store, [*third, *taken_back(first)], partition=1)
    assert_equal(loaded(store, saved), from_scratch(store))
    folders.seconds = PERIOD_S + 1
    num_rows = len(first + second + third + first)
    assert saved.save_if_due(store, num_rows)
    assert folders.names() == [str(num_rows)]
    assert_equal(loaded(store, saved), from_scratch(store))


@pytest.fixture
def store() -> ReadSpyingStore:
    store = ReadSpyingStore()
    add(store, [Transition(1, 100, 1, 2, 3, 0), Transition(2, 101, 1, 1, 2, 3)])
    return store


@pytest.fixture
def folders(store: ReadSpyingStore) -> MemoryArrayFolders:
    """With the counts of the store."""
    folders = MemoryArrayFolders()
    assert saved_counts(folders).save_if_due(store, 2)
    return folders


def test_a_start_reads_what_follows_the_saved_counts_alone(store: ReadSpyingStore, folders: MemoryArrayFolders) -> None:
    add(store, [Transition(3, 102, 1, 2, 1, 2)])
    reads = store.reads_of(lambda: loaded(store, saved_counts(folders)))
    assert "transitions.after" in reads
    assert "transitions.since" not in reads


def test_they_are_saved_again_once_they_are_old_and_many_have_followed(
    store: ReadSpyingStore, folders: MemoryArrayFolders
) -> None:
    saved = SavedCounts(folders, "tests", RULES, min_rows=2)
    add(store, [Transition(3, 102, 1, 2, 1, 2)] * 2)
    assert not saved.save_if_due(store, 4)
    folders.seconds = PERIOD_S + 1
    assert not saved.save_if_due(store, 3)
    folders.is_locked = True
    assert not saved.save_if_due(store, 4)
    folders.is_locked = False
    assert saved.save_if_due(store, 4)
    assert folders.names() == ["4"]


def test_counts_of_another_program_or_other_rules_are_discarded(
    store: ReadSpyingStore, folders: MemoryArrayFolders, caplog: pytest.LogCaptureFixture
) -> None:
    assert loaded(store, saved_counts(folders, "another")) is None
    assert "the saved counts of 2 transitions are not used: wanted program another, got tests" in caplog.text
    assert loaded(store, saved_counts(folders, rules=CountRules(max_neighbours=4))) is None
    assert "wanted rules CountRules" in caplog.text


def test_counts_that_a_restored_database_does_not_know_are_discarded(
    folders: MemoryArrayFolders, caplog: pytest.LogCaptureFixture
) -> None:
    restored = ReadSpyingStore()
    add(restored, [Transition(1, 100, 1, 2, 3, 0)] * 3)
    with caplog.at_level(logging.WARNING):
        assert loaded(restored, saved_counts(folders)) is None
    assert "they were not made from this state of the database" in caplog.text


def test_counts_of_a_log_that_was_rebuilt_are_discarded(store: ReadSpyingStore, folders: MemoryArrayFolders) -> None:
    rebuild_log(store)
    add(store, [Transition(1, 100, 1, 2, 3, 0)] * 3)
    folders.seconds = YOUNG_S
    assert loaded(store, saved_counts(folders)) is None
    assert not folders.names()


def test_counts_of_a_log_that_is_rewritten_meanwhile_are_not_saved(
    store: ReadSpyingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, folders = TransitionCounts.apply, MemoryArrayFolders()

    def rewrite(counts: TransitionCounts, changes: TransitionChanges) -> None:
        rebuild_log(store)
        add(store, [Transition(5, 100, 1, 4, 3, 0)] * 2)
        apply(counts, changes)

    monkeypatch.setattr(TransitionCounts, "apply", rewrite)
    assert not saved_counts(folders).save_if_due(store, 2)
    assert not folders.names()


def test_nothing_is_saved_of_a_log_without_transitions(folders: MemoryArrayFolders) -> None:
    assert not saved_counts(MemoryArrayFolders()).save_if_due(ReadSpyingStore(), 2)


def test_damaged_counts_are_not_used(
    store: ReadSpyingStore, folders: MemoryArrayFolders, caplog: pytest.LogCaptureFixture
) -> None:
    def load(name: str) -> tuple[Arrays, Any]:
        msg = f"{name}: weeks.npy differs"
        raise DamagedArrays(msg)

    folders.load = load  # type: ignore[method-assign]
    assert loaded(store, saved_counts(folders)) is None
    assert "the saved counts of 2 transitions are not used: 2: weeks.npy differs" in caplog.text


def test_counts_saved_a_moment_ago_stay_where_their_mark_is_not_seen(
    store: ReadSpyingStore, folders: MemoryArrayFolders
) -> None:
    """A process whose read transaction began before they were saved."""
    assert loaded(ReadSpyingStore(), saved_counts(folders)) is None
    assert folders.names() == ["2"]
    folders.seconds = YOUNG_S
    assert loaded(ReadSpyingStore(), saved_counts(folders)) is None
    assert not folders.names()


def test_a_process_starts_from_saved_counts_and_follows_the_log(
    store: ReadSpyingStore, folders: MemoryArrayFolders
) -> None:
    add(store, [Transition(3, 102, 1, 2, 1, 2)])
    started = list[SnapshotManager]()
    assert "transitions.since" not in store.reads_of(lambda: started.append(process(store, folders)))
    assert_equal(started[0].current().counts, from_scratch(store))
    add(store, [Transition(4, 103, 1, 3, 2, 1)])
    started[0].refresh()
    assert_equal(started[0].current().counts, from_scratch(store))
    folders.seconds = PERIOD_S + 1
    assert started[0].save_counts_if_due()
    assert folders.names() == ["4"]
