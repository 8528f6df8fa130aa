"""Popularity changes: a reader that follows knows what one that reads everything knows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from services.databases import Database

from core.popularity import PopularityChanges
from core.ports.store import Store
from storage.repositories import popularity as repository


def add(store: Store, scores: Mapping[int, float], *, partition: int = 0, compact: bool = False) -> None:
    with store.transaction() as tx:
        writer = tx.offsets.lock("api", [partition])[partition]
        tx.popularity.add(writer.key, scores)
        if compact:
            tx.popularity.compact(writer.key)
        tx.commit()


def since(store: Store, changes: PopularityChanges | None = None) -> PopularityChanges:
    with store.read() as read:
        return read.popularity.since(changes.position if changes else None)


def scores(changes: PopularityChanges) -> dict[int, float]:
    return dict(zip(changes.item_keys.tolist(), changes.scores.tolist(), strict=True))


def test_a_new_reader_reads_all_scores(store: Store) -> None:
    assert (scores(since(store)), since(store).restarted) == ({}, True)
    add(store, {10: 3.0, 11: 4.0})
    assert (scores(since(store)), since(store).restarted) == ({10: 3.0, 11: 4.0}, True)


def test_a_reader_that_follows_reads_the_sums_of_changed_items(store: Store) -> None:
    add(store, {10: 3.0, 11: 4.0})
    changes = since(store)
    add(store, {10: 3.0}, partition=1)
    add(store, {12: 5.0})
    changes = since(store, changes)
    assert (scores(changes), changes.restarted) == ({10: 4.0, 12: 5.0}, False)
    assert scores(since(store, changes)) == {}


def test_a_reader_of_an_empty_log_follows_it(store: Store) -> None:
    changes = since(store)
    changes = since(store, changes)
    assert not changes.restarted
    add(store, {10: 3.0})
    assert scores(since(store, changes)) == {10: 3.0}


def test_after_the_scores_were_deleted_a_reader_starts_again(store: Store) -> None:
    add(store, {10: 3.0})
    changes = since(store)
    with store.transaction() as tx:
        tx.popularity.clear()
        tx.commit()
    add(store, {11: 4.0}, partition=1)
    changes = since(store, changes)
    assert (scores(changes), changes.restarted) == ({11: 4.0}, True)


def test_scores_of_given_items_are_sums_over_writers(store: Store) -> None:
    add(store, {10: 3.0, 11: 4.0})
    add(store, {10: 3.0}, partition=1)
    with store.read() as read:
        keys, sums = read.popularity.scores_of(np.array([9, 10]))
    assert (keys.tolist(), sums.tolist()) == ([10], [4.0])


def test_a_reader_behind_a_compaction_starts_again_a_close_one_does_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "RECENT_ROWS", 2)
    store = database.store
    add(store, {10: 1.0})
    far = since(store)
    for item_key in (11, 12, 13):
        add(store, {item_key: 1.0})
    close = since(store)
    add(store, {14: 2.0}, compact=True)
    assert (scores(since(store, close)), since(store, close).restarted) == ({14: 2.0}, False)
    assert since(store, far).restarted
    assert scores(since(store, far)) == {10: 1.0, 11: 1.0, 12: 1.0, 13: 1.0, 14: 2.0}
