"""Users: locks, sequences, windows and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from stored_events import add_users

from core.history import History, Window
from core.ports.store import Store
from core.records import UserState


def window(items: Sequence[int], times_ms: Sequence[int], *, num_events: int) -> Window:
    return Window(num_events, History(np.array(items, np.int64), np.array(times_ms, np.int64)))


def test_a_new_user_starts_at_sequence_zero_with_an_empty_window(store: Store) -> None:
    with store.transaction() as tx:
        state = tx.users.lock(["ann"])["ann"]
    assert (state.seq, state.window.num_events, len(state.window.history), state.erased_ms) == (0, 0, 0, None)


def test_locking_returns_each_user_once_and_keeps_keys(store: Store) -> None:
    with store.transaction() as tx:
        first = tx.users.lock(["bob", "ann", "bob"])
        tx.commit()
    with store.transaction() as tx:
        second = tx.users.lock(["cid", "ann", "bob"])
    assert set(first) == {"ann", "bob"}
    assert {name: state.key for name, state in second.items() if name != "cid"} == {n: s.key for n, s in first.items()}
    assert len({state.key for state in second.values()}) == 3


def test_saved_sequences_and_windows_are_read_back(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.users.lock(["ann", "bob"])
        tx.users.save([replace(states["ann"], seq=7, window=window([5, 6], [1000, 2000], num_events=9))])
        tx.commit()
    with store.read() as read:
        ann, bob = read.users.find("ann"), read.users.find("bob")
    assert ann is not None
    assert bob is not None
    assert (ann.seq, ann.window.num_events) == (7, 9)
    assert (ann.window.history.items.tolist(), ann.window.history.times_ms.tolist()) == ([5, 6], [1000, 2000])
    assert bob == replace(states["bob"], window=bob.window)


@pytest.mark.parametrize("name", ["Zoë", "日本", "a'b", 'quo"te', "100%", "back\\slash", "🌊", "x" * 256])
def test_every_valid_id_identifies_one_user_and_one_item(store: Store, name: str) -> None:
    with store.transaction() as tx:
        user, item = tx.users.lock([name])[name].key, tx.items.resolve([name])[name]
        tx.commit()
    with store.read() as read:
        state = read.users.find(name)
        assert state is not None
        assert state.key == user
        assert read.items.by_id([name])[name].key == item


def test_find_returns_the_state_of_the_locked_user(store: Store) -> None:
    with store.transaction() as tx:
        key = tx.users.lock(["ann"])["ann"].key
        tx.commit()
    with store.read() as read:
        state = read.users.find("ann")
    assert isinstance(state, UserState)
    assert state.key == key


def test_users_are_listed_by_ascending_id_in_pages(store: Store) -> None:
    keys = add_users(store, "bob", "ann", "Zoe", "äda")
    with store.read() as read:
        first = read.users.page(limit=2)
        rest = read.users.page(after=first[-1][0], limit=9)
    assert [user_id for user_id, _ in [*first, *rest]] == ["Zoe", "ann", "bob", "äda"]
    assert {user_id: state.key for user_id, state in [*first, *rest]} == keys


def test_user_prefix_is_matched_literally(store: Store) -> None:
    add_users(store, "user-1", "user-10", "user_1", "user", "other", "user-%", "user-\U0010fffe")
    with store.read() as read:
        user_ids = [user_id for user_id, _ in read.users.page(prefix="user-")]
        assert user_ids == ["user-%", "user-1", "user-10", "user-\U0010fffe"]
        assert [user_id for user_id, _ in read.users.page(prefix="user-", after="user-1")] == user_ids[2:]
        assert read.users.page(prefix="nobody") == []


def test_users_are_found_by_their_keys(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.users.lock(["ann", "bob", "cid"])
        tx.commit()
    with store.read() as read:
        by_key = read.users.by_key([states["cid"].key, states["ann"].key, 10**9])
    assert [state.key for state in by_key] == sorted([states["ann"].key, states["cid"].key])
