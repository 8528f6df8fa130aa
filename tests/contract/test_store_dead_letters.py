"""Dead letters: stored once, read in pages, updated and deleted."""

from __future__ import annotations

from dataclasses import replace

from core.ports.store import Store
from core.records.stored import DeadLetter


def test_newest_dead_letters_are_read_back_complete(store: Store) -> None:
    dead_letters = [
        DeadLetter("file.csv", 0, line, f"line {line}", b"\x00\xff" * line, 1000 + line) for line in (1, 2, 3)
    ]
    with store.transaction() as tx:
        tx.dead_letters.add(dead_letters)
        tx.commit()
    with store.read() as read:
        newest = read.dead_letters.newest(limit=2)
        assert read.totals().dead_letters == read.dead_letters.count() == 3
    assert [replace(dead_letter, key=None) for dead_letter in newest] == dead_letters[:0:-1]
    assert len({dead_letter.key for dead_letter in newest}) == 2


def test_the_same_payload_from_the_same_position_is_stored_once(store: Store) -> None:
    first = DeadLetter("file.csv", 0, 7, "bad", b"line", 1000)
    others = [replace(first, offset=8), replace(first, partition=1), replace(first, source="g.csv")]
    dead_letters = [first, *others, replace(first, payload=b"other")]
    for reason in ("bad", "bad for another reason"):
        with store.transaction() as tx:
            tx.dead_letters.add([replace(dead_letter, reason=reason) for dead_letter in (*dead_letters, first)])
            tx.commit()
    with store.read() as read:
        assert [replace(dead_letter, key=None) for dead_letter in read.dead_letters.newest()] == dead_letters[::-1]


def stored(store: Store) -> list[tuple[int, str, int]]:
    with store.read() as read:
        return [
            (dead_letter.offset, dead_letter.reason, dead_letter.num_retries)
            for dead_letter in read.dead_letters.page()
        ]


def add_dead_letters(store: Store, count: int) -> list[int]:
    with store.transaction() as tx:
        tx.dead_letters.add([DeadLetter("t", 0, n, "bad", b"%d" % n, 5) for n in range(count)])
        tx.commit()
    with store.read() as read:
        return [dead_letter.key or 0 for dead_letter in read.dead_letters.page()]


def test_dead_letter_pages_are_in_ascending_key(store: Store) -> None:
    keys = add_dead_letters(store, 5)
    assert keys == sorted(keys)
    with store.read() as read:
        assert [dead_letter.offset for dead_letter in read.dead_letters.page(after=keys[1], limit=2)] == [2, 3]
        assert read.dead_letters.page(after=keys[-1]) == []


def test_updating_a_dead_letter_keeps_its_key(store: Store) -> None:
    add_dead_letters(store, 2)
    with store.read() as read:
        first = read.dead_letters.page()[0]
    with store.transaction() as tx:
        tx.dead_letters.update([replace(first, reason="worse", num_retries=3)])
        tx.dead_letters.update([])
        tx.commit()
    assert stored(store) == [(0, "worse", 3), (1, "bad", 0)]


def test_deleted_dead_letters_are_gone(store: Store) -> None:
    keys = add_dead_letters(store, 3)
    with store.transaction() as tx:
        assert tx.dead_letters.delete([keys[0], keys[2], 10**9]) == 2
        assert tx.dead_letters.delete([]) == 0
        tx.commit()
    assert stored(store) == [(1, "bad", 0)]
