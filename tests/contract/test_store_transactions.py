"""Transactions: commit, rollback and snapshots; metadata and totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from stored_events import CLICK, event, insert

from core.errors import StoreConflict
from core.events.history import History, Window
from core.ports.store import Store


def window(items: Sequence[int], times_ms: Sequence[int], *, num_events: int) -> Window:
    return Window(num_events, History(np.array(items, np.int64), np.array(times_ms, np.int64)))


def test_uncommitted_changes_are_rolled_back(store: Store) -> None:
    with store.transaction() as tx:
        tx.users.lock(["ann"])
        tx.metadata.save({"clock": "wall"})
    with store.read() as read:
        assert read.users.find("ann") is None
        assert read.metadata.all() == {}


def test_an_error_in_a_transaction_rolls_it_back_and_is_raised(store: Store) -> None:
    def write_and_fail() -> None:
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_and_fail()
    with store.read() as read:
        assert read.users.find("ann") is None


def test_a_reader_keeps_its_snapshot_while_a_writer_commits(store: Store) -> None:
    with store.read() as read:
        assert read.users.find("ann") is None
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            tx.commit()
        assert read.users.find("ann") is None
    with store.read() as read:
        assert read.users.find("ann") is not None


def test_reading_without_a_snapshot_sees_the_newest_commit(store: Store) -> None:
    with store.read(snapshot=False) as read:
        assert read.users.find("ann") is None
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            tx.commit()
    with store.read(snapshot=False) as read:
        assert read.users.find("ann") is not None
        assert read.offsets.applied("interactions") == {}


def test_pipelined_writes_are_read_in_their_block_and_committed_together(store: Store) -> None:
    rows = [event(n, user=1, item=n, time_ms=10 * n, seq=n) for n in (1, 2, 3)]
    with store.transaction() as tx:
        with tx.pipelined():
            tx.events.insert(rows)
            tx.event_counts.add(1, {(0, CLICK): 3})
            assert tx.events.known([rows[0].event_key]) == {rows[0].event_key}
            history = tx.events.histories({1: 2}, type_codes=[CLICK])[1]
            assert (history.items.tolist(), history.times_ms.tolist()) == ([2, 3], [20, 30])
            assert tx.events.histories({2: 5}, type_codes=[CLICK])[2].items.tolist() == []
        tx.metadata.save({"clock": "wall"})
        tx.commit()
    with store.read() as read:
        assert read.events.recent(1, type_codes=[CLICK], limit=9) == rows
        assert read.event_counts.total(since_ms=0) == 3
        assert read.metadata.all() == {"clock": "wall"}


def test_the_error_of_a_pipelined_write_is_raised_and_nothing_is_stored(store: Store) -> None:
    row = event(1, user=1, item=1, time_ms=10, seq=1)
    insert(store, row)

    def store_again() -> None:
        with store.transaction() as tx, tx.pipelined():
            tx.events.insert([row])
            tx.event_counts.add(1, {(0, CLICK): 1})
            tx.commit()

    for _ in range(2):  # the second time on a connection that has seen the error
        with pytest.raises(StoreConflict):
            store_again()
    with store.read() as read:
        assert read.event_counts.total(since_ms=0) == 0


def test_clearing_derived_state_keeps_events_sequences_and_items(store: Store) -> None:
    with store.transaction() as tx:
        ann = tx.users.lock(["ann"])["ann"]
        item = tx.items.resolve(["x"])["x"]
        tx.events.insert([event(1, user=ann.key, item=item, time_ms=10, seq=1)])
        tx.users.save([replace(ann, seq=1, window=window([item], [10], num_events=1))])
        tx.popularity.add(1, {item: 1.0})
        tx.event_counts.add(1, {(0, CLICK): 1})
        tx.commit()
    with store.transaction() as tx:
        tx.users.clear_windows()
        tx.popularity.clear()
        tx.event_counts.clear()
        tx.commit()
    with store.read() as read:
        cleared = read.users.find("ann")
        assert cleared is not None
        assert (cleared.seq, cleared.window.num_events, len(cleared.window.history)) == (1, 0, 0)
        assert read.popularity.scores()[0].tolist() == []
        assert (read.totals().events, read.totals().items) == (1, 1)


def test_metadata_is_replaced_by_name(store: Store) -> None:
    with store.transaction() as tx:
        tx.metadata.save({"clock": "wall", "window": "50/10"})
        tx.metadata.save({"clock": "stream"})
        tx.commit()
    with store.read() as read:
        assert read.metadata.all() == {"clock": "stream", "window": "50/10"}


def test_totals_count_everything(store: Store) -> None:
    with store.transaction() as tx:
        users = tx.users.lock(["ann", "bob"])
        tx.items.resolve(["x", "y", "z"])
        tx.events.insert([event(1, user=users["ann"].key, item=1, time_ms=1, seq=1)])
        tx.commit()
    with store.read() as read:
        totals = read.totals()
    assert (totals.users, totals.items, totals.listed_items, totals.events, totals.dead_letters) == (2, 3, 0, 1, 0)


def test_unknown_ids_return_nothing(store: Store) -> None:
    with store.read() as read:
        assert read.users.find("nobody") is None
        assert read.items.by_key([1, 2]) == {}
        assert read.items.by_id(["nothing"]) == {}
        assert read.models.champion() is None
        assert (read.models.all(), read.dead_letters.newest(), read.items.page()) == ([], [], [])
        assert read.offsets.applied("nowhere") == {}
