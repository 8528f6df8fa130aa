"""Erasure of a user."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.access.sessions import PREFIX, open_session
from core.ports.store import Store
from core.records.api_keys import Scope
from core.records.stored import DeadLetter, EventRow


def visit(store: Store, user_id: str, *, seq: int, item: str = "x") -> int:
    """Store an event of a user; returns the user's key."""
    with store.transaction() as tx:
        state = tx.users.lock([user_id])[user_id]
        key = f"{user_id}/{seq}".encode().ljust(16)[:16]
        tx.events.insert([EventRow(key, state.key, tx.items.resolve([item])[item], 0, seq, seq, None, None, None)])
        tx.users.save([replace(state, seq=seq)])
        tx.commit()
    return state.key


def erase(store: Store, user_id: str, *, now_ms: int) -> bool:
    with store.transaction() as tx:
        erased = tx.users.erase(user_id, now_ms=now_ms)
        tx.commit()
    return erased


def add_dead_letter(store: Store, payload: bytes) -> None:
    with store.transaction() as tx:
        tx.dead_letters.add([DeadLetter("kafka", 0, 1, "bad", payload, 1000)])
        tx.commit()


def test_erasure_deletes_all_data_of_one_user_only(store: Store) -> None:
    visit(store, "ann", seq=1)
    visit(store, "bob", seq=1)
    assert erase(store, "ann", now_ms=5000)
    with store.read() as read:
        assert read.users.find("ann") is None
        assert read.users.find("bob") is not None
        assert (read.totals().users, read.totals().events) == (1, 1)


def test_erasing_an_unknown_user_returns_false(store: Store) -> None:
    assert not erase(store, "nobody", now_ms=5000)
    with store.read() as read:
        assert read.users.erasure_times(["nobody"]) == {}


def test_erasure_times_are_known_for_erased_users_only(store: Store) -> None:
    visit(store, "ann", seq=1)
    visit(store, "bob", seq=1)
    erase(store, "ann", now_ms=5000)
    with store.read() as read:
        assert read.users.erasure_times(["ann", "bob", "cid"]) == {"ann": 5000}
        assert read.users.erasure_times([]) == {}


def test_a_returning_user_continues_the_sequence_with_a_new_key(store: Store) -> None:
    old_key = visit(store, "ann", seq=7)
    erase(store, "ann", now_ms=5000)
    with store.transaction() as tx:
        states = tx.users.lock(["ann", "bob"])
        tx.commit()
    assert (states["ann"].seq, states["ann"].erased_ms) == (7, 5000)
    assert states["ann"].key != old_key
    assert (states["bob"].seq, states["bob"].erased_ms) == (0, None)
    with store.read() as read:
        assert read.users.find("ann") == replace(states["ann"], window=states["ann"].window)


def test_users_erased_at_or_after_unless_erased_are_not_created(store: Store) -> None:
    for user_id in ("ann", "bob", "cid"):
        visit(store, user_id, seq=1)
    for user_id in ("ann", "bob"):
        erase(store, user_id, now_ms=5000)
    with store.transaction() as tx:
        states = tx.users.lock(
            ["ann", "bob", "cid", "dan"], unless_erased={"ann": 5000, "bob": 5001, "cid": 1, "dan": 1}
        )
        tx.commit()
    assert set(states) == {"bob", "cid", "dan"}
    assert (states["bob"].seq, states["bob"].erased_ms) == (1, 5000)
    with store.read() as read:
        assert read.users.find("ann") is None


def test_a_second_erasure_replaces_the_first(store: Store) -> None:
    for seq, now_ms in ((7, 5000), (8, 9000)):
        visit(store, "ann", seq=seq)
        assert erase(store, "ann", now_ms=now_ms)
    with store.transaction() as tx:
        state = tx.users.lock(["ann"])["ann"]
    assert (state.seq, state.erased_ms) == (8, 9000)


@pytest.mark.parametrize("payload", [b'{"user_id": "ann"}', b"1;ann;x", b"ann", b'{"user_id":"ann","item_id":3'])
def test_erasure_deletes_dead_letters_that_name_the_user(store: Store, payload: bytes) -> None:
    add_dead_letter(store, payload)
    assert erase(store, "ann", now_ms=5000)
    with store.read() as read:
        assert read.dead_letters.newest() == []


def test_erasure_finds_json_escaped_ids_in_dead_letters(store: Store) -> None:
    add_dead_letter(store, b'{"user_id": "Zo\\u00eb"}')
    assert erase(store, "Zoë", now_ms=5000)
    with store.read() as read:
        assert read.dead_letters.newest() == []


def test_erasure_keeps_dead_letters_of_longer_ids(store: Store) -> None:
    add_dead_letter(store, b'{"user_id": "anna"}')
    visit(store, "ann", seq=1)
    erase(store, "ann", now_ms=5000)
    with store.read() as read:
        assert len(read.dead_letters.newest()) == 1


def test_erasure_covers_events_slightly_ahead_of_the_clock(store: Store) -> None:
    visit(store, "ann", seq=5007)  # its time is its sequence: 7 ms after the erasure's clock
    erase(store, "ann", now_ms=5000)
    with store.read() as read:
        assert read.users.erasure_times(["ann"]) == {"ann": 5007}


def test_a_second_erasure_never_lowers_the_erasure_time(store: Store) -> None:
    visit(store, "ann", seq=1)
    erase(store, "ann", now_ms=9000)
    visit(store, "ann", seq=2)
    erase(store, "ann", now_ms=5000)
    with store.read() as read:
        assert read.users.erasure_times(["ann"]) == {"ann": 9000}


def test_erasure_keeps_the_session_of_a_person_with_the_same_name(store: Store) -> None:
    """Who signs in to the dashboard works for the shop."""
    open_session(store, "ann", Scope.READ, now_ms=1000, expires_ms=9000)
    visit(store, "ann", seq=1)
    erase(store, "ann", now_ms=5000)
    with store.read() as read:
        assert [key.name for key in read.keys.all()] == [f"{PREFIX}ann"]
