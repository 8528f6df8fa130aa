"""The log of item transitions: readers that follow it read each transition once, on all databases."""

from __future__ import annotations

import sqlite3
from collections import Counter

import pytest
from services.databases import Database

from core.ports.store import Store
from core.transitions.transition import Transition, TransitionChanges
from storage.repositories import transitions as repository

FIRST, SECOND, THIRD = (Transition(item, 2900, 1, item + 1, 0, 0) for item in (1, 2, 3))


def append(store: Store, *transitions: Transition, partition: int = 0, compact: bool = False) -> None:
    with store.transaction() as tx:
        writer = tx.offsets.lock("api", [partition])[partition]
        tx.transitions.add(writer.key, transitions)
        if compact:
            tx.transitions.compact(writer.key)
        tx.commit()


def since(store: Store, changes: TransitionChanges | None = None) -> TransitionChanges:
    with store.read() as read:
        return read.transitions.since(changes.position if changes else {})


def rows(changes: TransitionChanges) -> Counter[Transition]:
    return Counter(Transition(*row) for row in changes.rows.tolist())


def test_a_new_reader_reads_everything(store: Store) -> None:
    assert rows(since(store)) == Counter()
    append(store, FIRST, SECOND)
    append(store, Transition(2**31, 2900, -1, 2**32 - 1, 7, 8), partition=1)
    changes = since(store)
    assert rows(changes) == Counter([FIRST, SECOND, Transition(2**31, 2900, -1, 2**32 - 1, 7, 8)])
    assert changes.restarted


def test_a_reader_that_follows_reads_what_was_added(store: Store) -> None:
    append(store, FIRST)
    changes = since(store)
    append(store, SECOND)
    append(store, THIRD, partition=1)
    changes = since(store, changes)
    assert (rows(changes), changes.restarted) == (Counter([SECOND, THIRD]), False)
    assert rows(since(store, changes)) == Counter()


def test_a_writer_without_transitions_adds_no_row(store: Store) -> None:
    append(store, FIRST)
    changes = since(store)
    append(store)
    assert since(store, changes).position == changes.position


def test_a_cleared_log_is_read_again_from_its_start(store: Store) -> None:
    append(store, FIRST)
    changes = since(store)
    with store.transaction() as tx:
        tx.transitions.clear()
        tx.commit()
    append(store, SECOND)
    changes = since(store, changes)
    assert (rows(changes), changes.restarted) == (Counter([SECOND]), True)


def test_compaction_changes_nothing_for_readers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "RECENT_ROWS", 2)
    append(store, FIRST)
    behind = since(store)
    for _ in range(3):
        append(store, SECOND)
    follower = since(store)
    append(store, THIRD, compact=True)
    assert rows(since(store)) == Counter([FIRST, SECOND, SECOND, SECOND, THIRD])
    assert rows(since(store, follower)) == Counter([THIRD])
    late = since(store, behind)
    assert rows(late) == Counter([FIRST, SECOND, SECOND, SECOND, THIRD] if late.restarted else [SECOND] * 3 + [THIRD])


def test_what_follows_a_number_of_rows_is_the_same_after_compaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "RECENT_ROWS", 1)
    append(store, FIRST, SECOND)
    append(store, FIRST, partition=1)
    read = since(store)
    assert sorted(read.num_rows.values()) == [1, 2]
    append(store, SECOND, THIRD)
    append(store, FIRST, compact=True)
    append(store, THIRD, partition=2)
    with store.read() as reading:
        changes = reading.transitions.after(read.num_rows)
        assert (rows(changes), changes.restarted) == (Counter([SECOND, THIRD, FIRST, THIRD]), False)
        assert sorted(changes.num_rows.values()) == [1, 3]
        assert not len(reading.transitions.after(since(store).num_rows).rows)
    append(store, SECOND)
    assert rows(since(store, changes)) == Counter([SECOND])


def test_a_log_with_fewer_rows_than_were_read_is_read_from_its_start(store: Store) -> None:
    append(store, FIRST, SECOND)
    num_rows = since(store).num_rows
    with store.transaction() as tx:
        tx.transitions.clear()
        tx.commit()
    append(store, THIRD)
    with store.read() as read:
        changes = read.transitions.after(num_rows)
    assert (rows(changes), changes.restarted) == (Counter([THIRD]), True)


def test_compaction_leaves_few_rows(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sqlite_database.store
    monkeypatch.setattr(repository, "RECENT_ROWS", 2)
    monkeypatch.setattr(repository, "MAX_JOINED_BYTES", 3 * repository.PACKED.size)
    for _ in range(9):
        append(store, FIRST)
    append(store, compact=True)
    with sqlite3.connect(sqlite_database.url.removeprefix("sqlite:///")) as connection:
        sizes = [size for (size,) in connection.execute("SELECT length(payload) / 19 FROM transitions ORDER BY key")]
    assert sizes == [3, 3, 1, 1, 1]  # seven joined three at a time, and the two recent ones
