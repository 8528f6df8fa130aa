"""Events: stored once, complete, and read in history order."""

from __future__ import annotations

import numpy as np
import pytest
from stored_events import CLICK, IMPRESSION, VIEW, add_users, event, event_key, insert

from core.errors import StoreConflict
from core.ports.store import Store
from core.records.stored import EventRow


def test_recent_events_are_complete_and_in_history_order(store: Store) -> None:
    rows = [event(n, user=1, item=n, time_ms=10 * (n % 3), seq=n, kind=CLICK if n % 4 else VIEW) for n in range(1, 8)]
    rows[5] = rows[5]._replace(value=2.5, context={"country": "PL"}, recommendation_id="r")
    insert(store, *rows, event(99, user=2, item=1, time_ms=5, seq=1))
    with store.read() as read:
        assert read.events.recent(1, type_codes=[CLICK], limit=100) == [rows[n - 1] for n in (3, 6, 1, 7, 2, 5)]
        assert read.events.recent(1, type_codes=[CLICK, VIEW], limit=2) == [rows[n - 1] for n in (2, 5)]
        assert read.events.recent(1, type_codes=[CLICK], limit=0) == []
        assert read.events.recent(1, type_codes=[CLICK, VIEW], limit=2, before=(10, 7)) == [rows[n - 1] for n in (1, 4)]
        assert read.events.by_key([event_key(6), event_key(1234)]) == {event_key(6): rows[5]}
        assert read.events.by_key([]) == {}
        assert read.events.recent(7, type_codes=[CLICK], limit=9) == []


@pytest.mark.parametrize("num_events", [0, 1, 4, 5])
def test_columns_are_read_in_blocks(store: Store, monkeypatch: pytest.MonkeyPatch, num_events: int) -> None:
    monkeypatch.setattr("storage.dialects.BLOCK_ROWS", 2)
    insert(store, *(event(n, user=1, item=n + 7, time_ms=10 * n, seq=n + 1) for n in range(num_events)))
    with store.read() as read:
        columns = read.events.columns(type_codes=[CLICK, VIEW])
    assert columns.users.tolist() == [1] * num_events
    assert columns.items.tolist() == [n + 7 for n in range(num_events)]
    assert columns.times_ms.tolist() == [10 * n for n in range(num_events)]


def test_an_event_is_known_once_it_is_stored(store: Store) -> None:
    insert(store, event(1, user=1, item=1, time_ms=10, seq=1), event(3, user=1, item=1, time_ms=11, seq=2))
    with store.transaction() as tx:
        keys = [event_key(number) for number in (1, 2, 3, 1)]
        assert tx.events.known(keys) == {event_key(1), event_key(3)}
        assert tx.events.known([]) == set()


def test_thousands_of_events_are_looked_up_at_once(store: Store) -> None:
    insert(store, *(event(n, user=n % 7, item=n, time_ms=n, seq=n) for n in range(0, 6000, 2)))
    with store.transaction() as tx:
        assert tx.events.known([event_key(n) for n in range(6000)]) == {event_key(n) for n in range(0, 6000, 2)}


def test_inserting_a_stored_event_raises_a_conflict(store: Store) -> None:
    insert(store, event(1, user=1, item=1, time_ms=10, seq=1))
    with pytest.raises(StoreConflict):
        insert(store, event(2, user=1, item=1, time_ms=11, seq=2), event(1, user=1, item=1, time_ms=10, seq=3))
    with store.read() as read:
        assert read.totals().events == 1


def test_events_are_read_back_complete(store: Store) -> None:
    rows = [
        EventRow(event_key(1), 1, 2, VIEW, 10, 1, 4.5, {"page": 3, "name": "a\x00b\ud800é"}, "rec-1"),
        EventRow(event_key(2), 1, 3, CLICK, 11, 2, None, None, None),
    ]
    insert(store, *rows)
    with store.read() as read:
        assert [row for page in read.events.pages() for row in page] == rows


def test_event_pages_are_in_history_order_for_any_chunk(store: Store) -> None:
    places = [(2, 5, 1), (1, 9, 3), (1, 9, 1), (1, 4, 2), (2, 5, 2), (3, 0, 1)]
    insert(store, *(event(n, user=u, item=1, time_ms=t, seq=s) for n, (u, t, s) in enumerate(places)))
    for chunk in (1, 2, 4, 100):
        with store.read() as read:
            pages = list(read.events.pages(chunk=chunk))
        assert max(map(len, pages)) <= chunk
        assert [(row.user_key, row.time_ms, row.user_seq) for page in pages for row in page] == sorted(places)


def test_histories_are_oldest_first_with_ties_by_sequence(store: Store) -> None:
    places = [(10, 1), (30, 2), (20, 3), (30, 4), (5, 5)]  # (time, sequence); the item is the sequence
    insert(store, *(event(seq, user=1, item=seq, time_ms=time_ms, seq=seq) for time_ms, seq in places))
    with store.transaction() as tx:
        history = tx.events.histories({1: 3}, type_codes=[CLICK])[1]
    assert history.items.tolist() == [3, 2, 4]
    assert history.times_ms.tolist() == [20, 30, 30]


def test_histories_have_a_limit_per_user_and_the_given_types(store: Store) -> None:
    kinds = [CLICK, IMPRESSION, VIEW, CLICK, IMPRESSION]
    for user in (1, 2):
        rows = (event(10 * user + n, user=user, item=n, time_ms=n, seq=n, kind=kind) for n, kind in enumerate(kinds))
        insert(store, *rows)
    with store.transaction() as tx:
        histories = tx.events.histories({1: 2, 2: 99, 3: 5}, type_codes=[CLICK, VIEW])
    assert {user: history.items.tolist() for user, history in histories.items()} == {1: [2, 3], 2: [0, 2, 3], 3: []}


def test_histories_include_events_of_the_same_transaction(store: Store) -> None:
    with store.transaction() as tx:
        tx.events.insert([event(1, user=1, item=8, time_ms=10, seq=1)])
        assert tx.events.histories({1: 9}, type_codes=[CLICK])[1].items.tolist() == [8]


def test_histories_equal_a_python_reference_on_random_events(store: Store) -> None:
    random = np.random.default_rng(7)
    rows = [
        event(
            n,
            user=int(random.integers(4)),
            item=n,
            time_ms=int(random.integers(50)),
            seq=n,
            kind=int(random.integers(3)),
        )
        for n in range(300)
    ]
    insert(store, *rows)
    limits = {user: int(random.integers(1, 60)) for user in range(4)}
    with store.transaction() as tx:
        histories = tx.events.histories(limits, type_codes=[CLICK, VIEW])
    for user, limit in limits.items():
        own = sorted(
            (r.time_ms, r.user_seq, r.item_key) for r in rows if r.user_key == user and r.type_code != IMPRESSION
        )
        assert histories[user].items.tolist() == [item for *_, item in own][-limit:]


def test_event_columns_are_filtered_by_type_and_time(store: Store) -> None:
    insert(
        store,
        event(1, user=2, item=21, time_ms=10, seq=1),
        event(2, user=1, item=12, time_ms=30, seq=2),
        event(3, user=1, item=11, time_ms=20, seq=1, kind=VIEW),
        event(4, user=1, item=13, time_ms=25, seq=3, kind=IMPRESSION),
    )
    with store.read() as read:
        everything = read.events.columns(type_codes=[CLICK, VIEW])
        early = read.events.columns(type_codes=[CLICK, VIEW], before_ms=30)
        late = read.events.columns(type_codes=[CLICK, VIEW], since_ms=20, before_ms=30)
    assert everything.users.tolist() == [1, 1, 2]
    assert everything.items.tolist() == [11, 12, 21]
    assert everything.times_ms.tolist() == [20, 30, 10]
    assert early.items.tolist() == [11, 21]
    assert late.items.tolist() == [11]
    assert {column.dtype for column in (early.users, early.items, early.times_ms)} == {np.dtype(np.int64)}


def test_event_columns_of_an_empty_store_are_empty(store: Store) -> None:
    with store.read() as read:
        assert len(read.events.columns(type_codes=[CLICK])) == 0


def test_item_types_of_a_user_are_in_history_order(store: Store) -> None:
    places = [(7, CLICK), (5, VIEW), (7, CLICK), (9, IMPRESSION)]
    rows = [event(n, user=1, item=item, time_ms=n, seq=n, kind=kind) for n, (item, kind) in enumerate(places)]
    insert(store, *rows, event(9, user=2, item=1, time_ms=1, seq=1))
    with store.read() as read:
        expected = [[7, CLICK], [5, VIEW], [7, CLICK]]
        assert read.events.item_types(1, type_codes=[CLICK, VIEW]).tolist() == expected
        assert read.events.item_types(3, type_codes=[CLICK]).shape == (0, 2)


def test_sequences_are_returned_for_stored_events_only(store: Store) -> None:
    insert(store, *(EventRow(event_key(n), n % 2, 1, 0, n, 10 + n, None, None, None) for n in range(5)))
    with store.read() as read:
        assert read.events.sequences([event_key(3), event_key(9), event_key(1), event_key(3)]) == {
            event_key(3): 13,
            event_key(1): 11,
        }
        assert read.events.sequences([]) == {}


def row(number: int, *, user: int, time_ms: int, seq: int, kind: int = CLICK) -> EventRow:
    return EventRow(event_key(number), user, 7, kind, time_ms, seq, 1.5, {"page": "home"}, "rec-1")


def test_history_pages_hold_all_types_newest_first(store: Store) -> None:
    keys = add_users(store, "ann", "bob")
    ann = keys["ann"]
    late = row(3, user=ann, time_ms=20, seq=3)  # it came after the event of time 30
    rows = [row(1, user=ann, time_ms=20, seq=1, kind=VIEW), row(2, user=ann, time_ms=30, seq=2), late]
    insert(store, *rows, row(4, user=keys["bob"], time_ms=25, seq=1))
    with store.read() as read:
        assert read.events.history_page(ann, before=(2**62, 0)) == [rows[1], late, rows[0]]
        assert read.events.history_page(ann, before=(2**62, 0), limit=2) == [rows[1], late]
        assert read.events.history_page(ann, before=(late.time_ms, late.user_seq)) == [rows[0]]
        assert read.events.history_page(12345, before=(2**62, 0)) == []
