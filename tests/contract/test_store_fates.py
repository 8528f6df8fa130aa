"""What every store says of events that were sent somewhere: their sequences, and whether their user was erased."""

from __future__ import annotations

from dataclasses import replace

from stored_events import event_key, insert

from core.ports.store import Store
from core.records import DeadLetter, EventRow


def test_stored_events_tell_their_sequence_and_others_are_left_out(store: Store) -> None:
    insert(store, *(EventRow(event_key(n), n % 2, 1, 0, n, 10 + n, None, None, None) for n in range(5)))
    with store.read() as view:
        assert view.events.sequences([event_key(3), event_key(9), event_key(1), event_key(3)]) == {
            event_key(3): 13,
            event_key(1): 11,
        }
        assert view.events.sequences([]) == {}


def test_readers_see_when_a_user_was_erased(store: Store) -> None:
    with store.transaction() as tx:
        tx.users.lock(["ann", "bob"])
        tx.commit()
    with store.transaction() as tx:
        tx.users.erase("ann", now_ms=5000)
        tx.commit()
    with store.read() as view:
        assert view.users.erasure_times(["ann", "bob", "cid"]) == {"ann": 5000}
        assert view.users.erasure_times([]) == {}


def letters(store: Store) -> list[tuple[int, str, int]]:
    with store.read() as view:
        return [(one.offset, one.reason, one.num_retries) for one in view.dead_letters.page()]


def keep_letters(store: Store, count: int) -> list[int]:
    with store.transaction() as tx:
        tx.dead_letters.add([DeadLetter("t", 0, n, "bad", b"%d" % n, 5) for n in range(count)])
        tx.commit()
    with store.read() as view:
        return [one.key or 0 for one in view.dead_letters.page()]


def test_dead_letters_come_in_ascending_key_a_page_at_a_time(store: Store) -> None:
    keys = keep_letters(store, 5)
    assert keys == sorted(keys)
    with store.read() as view:
        assert [one.offset for one in view.dead_letters.page(after=keys[1], limit=2)] == [2, 3]
        assert view.dead_letters.page(after=keys[-1]) == []


def test_a_letter_that_failed_again_keeps_its_place_with_a_new_reason_and_count(store: Store) -> None:
    keep_letters(store, 2)
    with store.read() as view:
        first = view.dead_letters.page()[0]
    with store.transaction() as tx:
        tx.dead_letters.update([replace(first, reason="worse", num_retries=3)])
        tx.dead_letters.update([])
        tx.commit()
    assert letters(store) == [(0, "worse", 3), (1, "bad", 0)]


def test_dropped_letters_are_gone(store: Store) -> None:
    keys = keep_letters(store, 3)
    with store.transaction() as tx:
        assert tx.dead_letters.delete([keys[0], keys[2], 10**9]) == 2
        assert tx.dead_letters.delete([]) == 0
        tx.commit()
    assert letters(store) == [(1, "bad", 0)]
