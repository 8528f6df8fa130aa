"""Users: locks, sequences, windows and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from stored_events import add_users

from core.catalogue.items import Item
from core.events.history import History, Window
from core.ports.store import Store
from core.records.stored import EventRow, ListedUser, UserShift, UserState

NOTHING = (None, None, None)  # value, context and recommendation id of an event


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


def test_new_users_are_stored_as_they_are_after_their_first_events(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.users.new_states(["ann", "bob", "cid"])
        after = replace(states["ann"], seq=2, window=window([5, 6], [1000, 2000], num_events=2))
        tx.users.insert({"bob": states["bob"], "ann": after})
        tx.commit()
    with store.read() as read:
        ann, bob = read.users.find("ann"), read.users.find("bob")
        assert read.users.find("cid") is None
        assert [user.newest_ms for user in read.users.by_activity()] == [2000]
    assert ann is not None
    assert (ann.key, ann.seq, ann.window.num_events) == (after.key, 2, 2)
    assert (ann.window.history.items.tolist(), ann.window.history.times_ms.tolist()) == ([5, 6], [1000, 2000])
    assert bob is not None
    assert (bob.key, bob.seq, bob.window.num_events) == (states["bob"].key, 0, 0)


def test_new_users_get_keys_that_no_user_had(store: Store) -> None:
    known = add_users(store, "ann", "bob")
    with store.transaction() as tx:
        tx.users.erase("bob", now_ms=1000)
        tx.commit()
    with store.transaction() as tx:
        new = [state.key for state in tx.users.new_states(["cid", "dan", "eve"]).values()]
    assert len({*new, *known.values()}) == 5
    assert new == sorted(new)


def test_no_new_users_are_no_statements(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.users.new_states([]) == {}
        tx.users.insert({})


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


def test_users_are_listed_by_their_newest_event_in_pages(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.users.lock(["ann", "bob", "cid", "dan", "eve", "new"])
        times_ms = {"ann": 900_000, "bob": 900_001, "cid": 600_000, "dan": 900_000, "eve": 599_999}
        tx.users.save([replace(states[n], window=window([5], [ms], num_events=1)) for n, ms in times_ms.items()])
        tx.users.save([replace(states["eve"], window=window([5, 5], [599_999, 2_000_000], num_events=2))])
        tx.commit()
    with store.read() as read:
        first = read.users.by_activity(limit=3)
        rest = read.users.by_activity(before=(first[-1].newest_ms or 0, first[-1].key))
        listed = read.users.by_id(prefix="a")
    assert [user.user_id for user in [*first, *rest]] == ["eve", "bob", "dan", "ann", "cid"]
    assert listed == [ListedUser(states["ann"].key, "ann", 0, 900_000, None, None)] == [rest[0]]


def test_users_are_listed_by_the_newest_shift_of_their_interest(store: Store) -> None:
    keys = add_users(store, "ann", "bob", "cid", "dan")
    with store.transaction() as tx:
        shifts = {"ann": 500, "bob": 700, "cid": 500}
        tx.users.save_shifts([UserShift(keys[name], since_ms, 0.25) for name, since_ms in shifts.items()])
        tx.users.save_shifts([UserShift(keys["bob"], None, None), UserShift(keys["dan"], 400, 0.5)])
        tx.commit()
    with store.read() as read:
        first = read.users.by_shift(limit=1)
        rest = read.users.by_shift(before=(500, first[-1].key))
    assert [(user.user_id, user.shift_ms, user.shift_distance) for user in [*first, *rest]] == [
        ("cid", 500, 0.25),
        ("ann", 500, 0.25),
        ("dan", 400, 0.5),
    ]


def test_users_without_a_window_are_not_listed_by_their_newest_event(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.users.lock(["ann", "bob"])
        tx.users.save([replace(state, window=window([5], [9], num_events=1)) for state in states.values()])
        tx.users.clear_windows()
        tx.users.save([replace(states["bob"], window=window([5], [7], num_events=1))])
        tx.commit()
    with store.read() as read:
        assert [user.user_id for user in read.users.by_activity()] == ["bob"]


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


# --- snapshots


def had(store: Store, user_id: str, *item_keys: int, type_code: int = 1, seq: int = 1, first_ms: int = 0) -> None:
    """A user's events with these items, the newest with sequence `seq`."""
    with store.transaction() as tx:
        state = tx.users.lock([user_id])[user_id]
        rows = [
            EventRow(
                f"{user_id}{seq}{place:08}".encode()[:16].rjust(16),
                state.key,
                key,
                type_code,
                first_ms + place,
                100 * seq + place,
                *NOTHING,
            )
            for place, key in enumerate(item_keys)
        ]
        tx.events.insert(sorted(rows))
        tx.users.save([replace(state, seq=seq, window=window(item_keys, range(len(item_keys)), num_events=9))])
        tx.commit()


def test_a_snapshot_is_the_state_the_items_and_the_revision(store: Store) -> None:
    had(store, "ann", 9, 5, 9)
    had(store, "bob", 7)
    with store.transaction() as tx:
        revision = tx.items.save([Item("tea")], now_ms=1)
        tx.commit()
    with store.read(snapshot=False) as read:
        at, ann = read.users.snapshot("ann", type_codes=[1, 2])
        state = read.users.find("ann")
    assert ann is not None
    assert state is not None
    assert (at, ann.item_types.tolist(), ann.state.key, ann.state.seq) == (
        revision,
        [[9, 1], [5, 1], [9, 1]],
        state.key,
        1,
    )
    assert ann.state.window.history.items.tolist() == [9, 5, 9]


def test_a_snapshot_holds_events_of_the_requested_types_only(store: Store) -> None:
    had(store, "ann", 9, type_code=3)
    with store.read() as read:
        for codes, expected in (([3], [[9, 3]]), ([1], []), ([], [])):
            _, ann = read.users.snapshot("ann", type_codes=codes)
            assert ann is not None
            assert (ann.item_types.tolist(), ann.item_types.shape[1]) == (expected, 2)


def test_the_events_of_a_snapshot_are_in_history_order(store: Store) -> None:
    had(store, "ann", 9, 5, first_ms=10)
    had(store, "ann", 7, first_ms=11, seq=2)
    had(store, "ann", 2**40, first_ms=3, seq=3)
    with store.read() as read:
        _, ann = read.users.snapshot("ann", type_codes=[1])
    assert ann is not None
    assert ann.item_types[:, 0].tolist() == [2**40, 9, 5, 7]


def test_an_unknown_user_has_no_snapshot(store: Store) -> None:
    with store.read() as read:
        assert read.users.snapshot("ann", type_codes=[1]) == (0, None)


def test_the_version_of_a_user_is_that_of_the_state(store: Store) -> None:
    had(store, "ann", 9, 5, seq=3)
    had(store, "bob", seq=0)
    with store.transaction() as tx:
        revision = tx.items.save([Item("tea")], now_ms=1)
        tx.commit()
    with store.read(snapshot=False) as read:
        for user_id, newest_ms in (("ann", 1), ("bob", None)):
            state = read.users.find(user_id)
            assert state is not None
            assert read.users.version(user_id) == (revision, (state.key, state.seq, newest_ms))
            assert state.version == (state.key, state.seq, newest_ms)
        assert read.users.version("nobody") == (revision, None)


def test_a_merged_user_has_the_version_of_the_other_one(store: Store) -> None:
    had(store, "guest", 9)
    had(store, "ann", 5, seq=2)
    with store.transaction() as tx:
        states = tx.users.lock(["guest", "ann"])
        tx.users.merge(states["guest"], states["ann"])
        tx.commit()
    with store.read() as read:
        assert read.users.version("guest") == read.users.version("ann")


def test_a_known_snapshot_is_returned_until_the_sequence_rises(store: Store) -> None:
    had(store, "ann", 9)
    with store.read() as read:
        _, known = read.users.snapshot("ann", type_codes=[1])
        assert read.users.snapshot("ann", type_codes=[1], known=known)[1] is known
    had(store, "ann", 5, seq=2)
    with store.read() as read:
        _, changed = read.users.snapshot("ann", type_codes=[1], known=known)
    assert changed is not None
    assert (changed.state.seq, changed.item_types[:, 0].tolist()) == (2, [9, 5])


def test_a_known_snapshot_of_an_erased_user_is_not_returned(store: Store) -> None:
    had(store, "ann", 9)
    with store.transaction() as tx:
        _, known = tx.users.snapshot("ann", type_codes=[1])
        tx.users.erase("ann", now_ms=1)
        assert tx.users.snapshot("ann", type_codes=[1], known=known)[1] is None
        tx.users.lock(["ann"])
        _, returned = tx.users.snapshot("ann", type_codes=[1], known=known)
    assert returned is not None
    assert (returned.state.seq, returned.item_types.tolist()) == (1, [])
