"""What every store says of events that were sent somewhere: their sequences, and whether their user was erased."""

from __future__ import annotations

from core.ports import EventRow, Store


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def keep(store: Store, *rows: EventRow) -> None:
    with store.transaction() as tx:
        tx.insert_events(sorted(rows))
        tx.commit()


def test_stored_events_tell_their_sequence_and_others_are_left_out(store: Store) -> None:
    keep(store, *(EventRow(key(n), n % 2, 1, 0, n, 10 + n, None, None, None) for n in range(5)))
    with store.read() as view:
        assert view.event_seqs([key(3), key(9), key(1), key(3)]) == {key(3): 13, key(1): 11}
        assert view.event_seqs([]) == {}


def test_readers_see_when_a_user_was_erased(store: Store) -> None:
    with store.transaction() as tx:
        tx.lock_users(["ann", "bob"])
        tx.commit()
    with store.transaction() as tx:
        tx.erase_user("ann", now_ms=5000)
        tx.commit()
    with store.read() as view:
        assert view.erased(["ann", "bob", "cid"]) == {"ann": 5000}
        assert view.erased([]) == {}
