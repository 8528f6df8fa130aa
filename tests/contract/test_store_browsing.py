"""What every store promises to people who look around: users by name, a user's events page by page, writers, counts."""

from __future__ import annotations

from dataclasses import replace

from stored_events import CLICK, VIEW, event_key, insert

from core.ports.store import Store
from core.records import EventRow, WriterPosition

NOW = (2**62, 0)


def add_users(store: Store, *user_ids: str) -> dict[str, int]:
    """Each user with one place in the database; returns their keys."""
    with store.transaction() as tx:
        states = tx.users.lock(list(user_ids))
        tx.commit()
    return {user_id: state.key for user_id, state in states.items()}


def row(number: int, *, user: int, time_ms: int, seq: int, kind: int = CLICK) -> EventRow:
    return EventRow(event_key(number), user, 7, kind, time_ms, seq, 1.5, {"page": "home"}, "rec-1")


def test_users_come_in_ascending_id_page_by_page(store: Store) -> None:
    keys = add_users(store, "bob", "ann", "Zoe", "äda")
    with store.read() as view:
        first = view.users.page(limit=2)
        rest = view.users.page(after=first[-1][0], limit=9)
    assert [user_id for user_id, _ in [*first, *rest]] == ["Zoe", "ann", "bob", "äda"]
    assert {user_id: state.key for user_id, state in [*first, *rest]} == keys


def test_a_prefix_finds_the_users_whose_ids_begin_so_and_no_pattern_is_read_into_it(store: Store) -> None:
    add_users(store, "user-1", "user-10", "user_1", "user", "other", "user-%", "user-\U0010fffe")
    with store.read() as view:
        found = [user_id for user_id, _ in view.users.page(prefix="user-")]
        assert found == ["user-%", "user-1", "user-10", "user-\U0010fffe"]
        assert [user_id for user_id, _ in view.users.page(prefix="user-", after="user-1")] == found[2:]
        assert view.users.page(prefix="nobody") == []


def test_a_users_events_of_all_types_come_newest_first_whole_and_page_by_page(store: Store) -> None:
    keys = add_users(store, "ann", "bob")
    ann = keys["ann"]
    late = row(3, user=ann, time_ms=20, seq=3)  # it came after the event of time 30
    rows = [row(1, user=ann, time_ms=20, seq=1, kind=VIEW), row(2, user=ann, time_ms=30, seq=2), late]
    insert(store, *rows, row(4, user=keys["bob"], time_ms=25, seq=1))
    with store.read() as view:
        assert view.events.history_page(ann, before=NOW) == [rows[1], late, rows[0]]
        assert view.events.history_page(ann, before=NOW, limit=2) == [rows[1], late]
        assert view.events.history_page(ann, before=(late.time_ms, late.user_seq)) == [rows[0]]
        assert view.events.history_page(12345, before=NOW) == []


def test_writers_are_listed_with_what_they_have_applied(store: Store) -> None:
    with store.transaction() as tx:
        partition = tx.offsets.lock("interactions", [0, 1])[1]
        tx.offsets.save([replace(partition, applied_offset=41, newest_ms=1_000)])
        tx.offsets.save([replace(tx.offsets.lock("http", [0])[0], newest_ms=2_000)])
        tx.commit()
    with store.read() as view:
        assert view.offsets.positions() == [
            WriterPosition("http", 0, None, 2_000),
            WriterPosition("interactions", 0, None, None),
            WriterPosition("interactions", 1, 41, 1_000),
        ]


def test_counts_since_a_bucket_add_up_over_writers_and_types(store: Store) -> None:
    with store.transaction() as tx:
        for stream in ("http", "import"):
            key = tx.offsets.lock(stream, [0])[0].key
            tx.event_counts.add(key, {(0, CLICK): 5, (300_000, CLICK): 2, (300_000, VIEW): 3, (600_000, VIEW): 1})
        tx.commit()
    with store.read() as view:
        assert [view.event_counts.total(since_ms=ms) for ms in (0, 300_000, 600_000, 900_000)] == [22, 12, 2, 0]
