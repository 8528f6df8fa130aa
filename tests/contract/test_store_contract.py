"""What every store promises about users, events, writers and facts. To a store, times are just integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.errors import StoreConflict
from core.history import History, Window
from core.ports import DeadLetter, EventRow, ModelRecord, Store, UserState

CLICK, VIEW, IMPRESSION = 0, 1, 2


def event_key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def event(number: int, *, user: int, item: int, time_ms: int, seq: int, kind: int = CLICK) -> EventRow:
    return EventRow(event_key(number), user, item, kind, time_ms, seq, None, None, None)


def insert(store: Store, *rows: EventRow) -> None:
    with store.transaction() as tx:
        tx.insert_events(sorted(rows))
        tx.commit()


def window(items: Sequence[int], times_ms: Sequence[int], *, num_events: int) -> Window:
    return Window(num_events, History(np.array(items, np.int64), np.array(times_ms, np.int64)))


def test_what_is_not_committed_never_happened(store: Store) -> None:
    with store.transaction() as tx:
        tx.lock_users(["ann"])
        tx.set_meta({"clock": "wall"})
    with store.read() as view:
        assert view.user("ann") is None
        assert view.meta() == {}


def test_an_error_inside_a_transaction_rolls_it_back_and_passes_on(store: Store) -> None:
    def write_and_fail() -> None:
        with store.transaction() as tx:
            tx.lock_users(["ann"])
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_and_fail()
    with store.read() as view:
        assert view.user("ann") is None


def test_a_user_s_newest_events_come_in_history_order_with_all_that_they_brought(store: Store) -> None:
    rows = [event(n, user=1, item=n, time_ms=10 * (n % 3), seq=n, kind=CLICK if n % 4 else VIEW) for n in range(1, 8)]
    rows[5] = rows[5]._replace(value=2.5, context={"country": "PL"}, recommendation_id="r")
    insert(store, *rows, event(99, user=2, item=1, time_ms=5, seq=1))
    with store.read() as view:
        assert view.events_of(1, type_codes=[CLICK], limit=100) == [rows[n - 1] for n in (3, 6, 1, 7, 2, 5)]
        assert view.events_of(1, type_codes=[CLICK, VIEW], limit=2) == [rows[n - 1] for n in (2, 5)]
        assert view.events_of(1, type_codes=[CLICK], limit=0) == []
        assert view.events_of(1, type_codes=[CLICK, VIEW], limit=2, before=(10, 7)) == [rows[n - 1] for n in (1, 4)]
        assert view.events_by_key([event_key(6), event_key(1234)]) == {event_key(6): rows[5]}
        assert view.events_by_key([]) == {}
        assert view.events_of(7, type_codes=[CLICK], limit=9) == []


def test_a_reader_keeps_its_snapshot_while_a_writer_commits(store: Store) -> None:
    with store.read() as view:
        assert view.user("ann") is None
        with store.transaction() as tx:
            tx.lock_users(["ann"])
            tx.commit()
        assert view.user("ann") is None
    with store.read() as view:
        assert view.user("ann") is not None


def test_a_new_user_starts_at_sequence_zero_with_an_empty_window(store: Store) -> None:
    with store.transaction() as tx:
        state = tx.lock_users(["ann"])["ann"]
    assert (state.seq, state.window.num_events, len(state.window.history), state.erased_ms) == (0, 0, 0, None)


def test_locking_gives_each_user_asked_for_once_and_keeps_their_keys(store: Store) -> None:
    with store.transaction() as tx:
        first = tx.lock_users(["bob", "ann", "bob"])
        tx.commit()
    with store.transaction() as tx:
        second = tx.lock_users(["cid", "ann", "bob"])
    assert set(first) == {"ann", "bob"}
    assert {name: state.key for name, state in second.items() if name != "cid"} == {n: s.key for n, s in first.items()}
    assert len({state.key for state in second.values()}) == 3


def test_saved_sequences_and_windows_come_back(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.lock_users(["ann", "bob"])
        tx.save_users([replace(states["ann"], seq=7, window=window([5, 6], [1000, 2000], num_events=9))])
        tx.commit()
    with store.read() as view:
        ann, bob = view.user("ann"), view.user("bob")
    assert ann is not None
    assert bob is not None
    assert (ann.seq, ann.window.num_events) == (7, 9)
    assert (ann.window.history.items.tolist(), ann.window.history.times_ms.tolist()) == ([5, 6], [1000, 2000])
    assert bob == replace(states["bob"], window=bob.window)


@pytest.mark.parametrize("name", ["Zoë", "日本", "a'b", 'quo"te', "100%", "back\\slash", "🌊", "x" * 256])
def test_any_valid_id_names_one_user_and_one_item(store: Store, name: str) -> None:
    with store.transaction() as tx:
        user, item = tx.lock_users([name])[name].key, tx.resolve_items([name])[name]
        tx.commit()
    with store.read() as view:
        found = view.user(name)
        assert found is not None
        assert found.key == user
        assert view.items_by_id([name])[name].key == item


def test_an_event_is_known_once_it_is_stored(store: Store) -> None:
    insert(store, event(1, user=1, item=1, time_ms=10, seq=1), event(3, user=1, item=1, time_ms=11, seq=2))
    with store.transaction() as tx:
        asked = [event_key(number) for number in (1, 2, 3, 1)]
        assert tx.known_events(asked) == {event_key(1), event_key(3)}
        assert tx.known_events([]) == set()


def test_thousands_of_events_are_looked_up_at_once(store: Store) -> None:
    insert(store, *(event(n, user=n % 7, item=n, time_ms=n, seq=n) for n in range(0, 6000, 2)))
    with store.transaction() as tx:
        assert tx.known_events([event_key(n) for n in range(6000)]) == {event_key(n) for n in range(0, 6000, 2)}


def test_storing_a_known_event_is_a_conflict_and_changes_nothing(store: Store) -> None:
    insert(store, event(1, user=1, item=1, time_ms=10, seq=1))
    with pytest.raises(StoreConflict):
        insert(store, event(2, user=1, item=1, time_ms=11, seq=2), event(1, user=1, item=1, time_ms=10, seq=3))
    with store.read() as view:
        assert view.totals().events == 1


def test_everything_about_an_event_comes_back(store: Store) -> None:
    rows = [
        EventRow(event_key(1), 1, 2, VIEW, 10, 1, 4.5, {"page": 3, "name": "a\x00b\ud800é"}, "rec-1"),
        EventRow(event_key(2), 1, 3, CLICK, 11, 2, None, None, None),
    ]
    insert(store, *rows)
    with store.read() as view:
        assert [row for page in view.iter_events() for row in page] == rows


def test_events_are_iterated_in_history_order_whatever_the_chunk(store: Store) -> None:
    places = [(2, 5, 1), (1, 9, 3), (1, 9, 1), (1, 4, 2), (2, 5, 2), (3, 0, 1)]
    insert(store, *(event(n, user=u, item=1, time_ms=t, seq=s) for n, (u, t, s) in enumerate(places)))
    for chunk in (1, 2, 4, 100):
        with store.read() as view:
            pages = list(view.iter_events(chunk=chunk))
        assert max(map(len, pages)) <= chunk
        assert [(row.user_key, row.time_ms, row.user_seq) for page in pages for row in page] == sorted(places)


def test_newest_events_come_oldest_first_and_ties_by_sequence(store: Store) -> None:
    places = [(10, 1), (30, 2), (20, 3), (30, 4), (5, 5)]  # (time, sequence); the item is the sequence
    insert(store, *(event(seq, user=1, item=seq, time_ms=time_ms, seq=seq) for time_ms, seq in places))
    with store.transaction() as tx:
        history = tx.newest_events({1: 3}, type_codes=[CLICK])[1]
    assert history.items.tolist() == [3, 2, 4]
    assert history.times_ms.tolist() == [20, 30, 30]


def test_newest_events_have_a_limit_for_each_user_and_only_the_types_asked_for(store: Store) -> None:
    kinds = [CLICK, IMPRESSION, VIEW, CLICK, IMPRESSION]
    for user in (1, 2):
        rows = (event(10 * user + n, user=user, item=n, time_ms=n, seq=n, kind=kind) for n, kind in enumerate(kinds))
        insert(store, *rows)
    with store.transaction() as tx:
        found = tx.newest_events({1: 2, 2: 99, 3: 5}, type_codes=[CLICK, VIEW])
    assert {user: history.items.tolist() for user, history in found.items()} == {1: [2, 3], 2: [0, 2, 3], 3: []}


def test_newest_events_sees_what_its_own_transaction_stored(store: Store) -> None:
    with store.transaction() as tx:
        tx.insert_events([event(1, user=1, item=8, time_ms=10, seq=1)])
        assert tx.newest_events({1: 9}, type_codes=[CLICK])[1].items.tolist() == [8]


def test_a_newest_event_agrees_with_plain_python_on_random_histories(store: Store) -> None:
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
        found = tx.newest_events(limits, type_codes=[CLICK, VIEW])
    for user, limit in limits.items():
        mine = sorted(
            (r.time_ms, r.user_seq, r.item_key) for r in rows if r.user_key == user and r.type_code != IMPRESSION
        )
        assert found[user].items.tolist() == [item for *_, item in mine][-limit:]


def test_event_columns_hold_the_types_asked_for_before_a_time_in_history_order(store: Store) -> None:
    insert(
        store,
        event(1, user=2, item=21, time_ms=10, seq=1),
        event(2, user=1, item=12, time_ms=30, seq=2),
        event(3, user=1, item=11, time_ms=20, seq=1, kind=VIEW),
        event(4, user=1, item=13, time_ms=25, seq=3, kind=IMPRESSION),
    )
    with store.read() as view:
        everything = view.events(type_codes=[CLICK, VIEW])
        early = view.events(type_codes=[CLICK, VIEW], before_ms=30)
        late = view.events(type_codes=[CLICK, VIEW], since_ms=20, before_ms=30)
    assert everything.users.tolist() == [1, 1, 2]
    assert everything.items.tolist() == [11, 12, 21]
    assert everything.times_ms.tolist() == [20, 30, 10]
    assert early.items.tolist() == [11, 21]
    assert late.items.tolist() == [11]
    assert {column.dtype for column in (early.users, early.items, early.times_ms)} == {np.dtype(np.int64)}


def test_event_columns_of_an_empty_store_are_empty(store: Store) -> None:
    with store.read() as view:
        assert len(view.events(type_codes=[CLICK])) == 0


def test_items_of_a_user_are_distinct_over_the_whole_history_by_type(store: Store) -> None:
    places = [(7, CLICK), (5, VIEW), (7, CLICK), (9, IMPRESSION)]
    rows = [event(n, user=1, item=item, time_ms=n, seq=n, kind=kind) for n, (item, kind) in enumerate(places)]
    insert(store, *rows, event(9, user=2, item=1, time_ms=1, seq=1))
    with store.read() as view:
        assert sorted(view.item_keys_of(1, type_codes=[CLICK, VIEW]).tolist()) == [5, 7]
        assert view.item_keys_of(3, type_codes=[CLICK]).tolist() == []


def test_a_source_begins_without_an_offset_and_keeps_its_key(store: Store) -> None:
    with store.transaction() as tx:
        source = tx.open_source("interactions", 3)
        other = tx.open_source("interactions", 4)
        tx.commit()
    with store.transaction() as tx:
        assert tx.open_source("interactions", 3) == source
    assert (source.applied_offset, source.newest_ms) == (None, None)
    assert source.key != other.key


def test_an_offset_advances_only_from_the_value_last_read(store: Store) -> None:
    with store.transaction() as tx:
        source = tx.open_source("interactions", 0)
        assert tx.advance_source(source, offset=41, newest_ms=1000)
        tx.commit()
    with store.transaction() as tx:
        assert not tx.advance_source(source, offset=50, newest_ms=2000)
        assert tx.advance_source(replace(source, applied_offset=41), offset=50, newest_ms=2000)
        tx.commit()
    with store.read() as view:
        assert view.applied_offsets("interactions") == {0: 50}


def test_a_writer_without_offsets_keeps_none(store: Store) -> None:
    with store.transaction() as tx:
        source = tx.open_source("api", 0)
        assert tx.advance_source(source, offset=None, newest_ms=1000)
        tx.commit()
    with store.read() as view:
        assert view.applied_offsets("api") == {}


def test_the_newest_event_time_only_ever_rises(store: Store) -> None:
    with store.read() as view:
        assert view.newest_event_ms() is None
    for newest_ms in (2000, None, 1000):
        with store.transaction() as tx:
            tx.advance_source(tx.open_source("api", 0), offset=None, newest_ms=newest_ms)
            tx.commit()
    with store.read() as view:
        assert view.newest_event_ms() == 2000


def test_popularity_is_kept_per_writer_and_joined_by_adding_the_counts(store: Store) -> None:
    with store.transaction() as tx:
        tx.save_popularity(1, {10: 3.0, 11: -2.0})
        tx.save_popularity(2, {10: 3.0})
        tx.save_popularity(1, {11: 5.0})
        assert tx.popularity(1, [10, 11, 12]) == {10: 3.0, 11: 5.0}
        assert tx.popularity(2, [11]) == {}
        tx.commit()
    with store.read() as view:
        keys, scores = view.popularity()
    assert keys.tolist() == [10, 11]
    assert scores.tolist() == pytest.approx([4.0, 5.0])  # 2**3 + 2**3 = 2**4


def test_popularity_joins_scores_far_beyond_what_a_float_can_count(store: Store) -> None:
    with store.transaction() as tx:
        tx.save_popularity(1, {10: 5000.0})
        tx.save_popularity(2, {10: 5000.0})
        tx.commit()
    with store.read() as view:
        assert view.popularity()[1].tolist() == pytest.approx([5001.0])


def test_dead_letters_come_newest_first_and_whole(store: Store) -> None:
    letters = [DeadLetter("file.csv", 0, line, f"line {line}", b"\x00\xff" * line, 1000 + line) for line in (1, 2, 3)]
    with store.transaction() as tx:
        tx.add_dead_letters(letters)
        tx.commit()
    with store.read() as view:
        found = view.dead_letters(limit=2)
        assert view.totals().dead_letters == view.num_dead_letters() == 3
    assert [replace(letter, key=None) for letter in found] == letters[:0:-1]
    assert len({letter.key for letter in found}) == 2


def test_the_same_bad_input_from_the_same_place_is_kept_once(store: Store) -> None:
    first = DeadLetter("file.csv", 0, 7, "bad", b"line", 1000)
    others = [replace(first, offset=8), replace(first, partition=1), replace(first, source="g.csv")]
    letters = [first, *others, replace(first, payload=b"other")]
    for reason in ("bad", "bad for another reason"):
        with store.transaction() as tx:
            tx.add_dead_letters([replace(letter, reason=reason) for letter in (*letters, first)])
            tx.commit()
    with store.read() as view:
        assert [replace(letter, key=None) for letter in view.dead_letters()] == letters[::-1]


def test_clearing_derived_state_keeps_events_sequences_and_items(store: Store) -> None:
    with store.transaction() as tx:
        ann = tx.lock_users(["ann"])["ann"]
        item = tx.resolve_items(["x"])["x"]
        tx.insert_events([event(1, user=ann.key, item=item, time_ms=10, seq=1)])
        tx.save_users([replace(ann, seq=1, window=window([item], [10], num_events=1))])
        tx.save_popularity(1, {item: 1.0})
        tx.add_counts(1, {(0, CLICK): 1})
        tx.commit()
    with store.transaction() as tx:
        tx.clear_derived()
        tx.commit()
    with store.read() as view:
        cleared = view.user("ann")
        assert cleared is not None
        assert (cleared.seq, cleared.window.num_events, len(cleared.window.history)) == (1, 0, 0)
        assert view.popularity()[0].tolist() == []
        assert (view.totals().events, view.totals().items) == (1, 1)


def test_there_is_one_champion_and_the_one_before_retires(store: Store) -> None:
    first = ModelRecord("m1", "models/m1", "champion", 1000, {"seed": 1, "parent": None})
    second = ModelRecord("m2", "models/m2", "champion", 2000, {"parent": "m1"})
    for record in (first, second):
        with store.transaction() as tx:
            tx.save_model(record)
            tx.commit()
    with store.read() as view:
        assert view.champion() == second
        assert view.models() == [second, replace(first, status="retired")]


def test_an_old_champion_can_serve_again(store: Store) -> None:
    models = [ModelRecord(f"m{n}", f"models/m{n}", "champion", n) for n in (1, 2)]
    with store.transaction() as tx:
        for record in (*models, models[0]):
            tx.save_model(record)
        tx.commit()
    with store.read() as view:
        assert view.champion() == models[0]
        assert [record.status for record in view.models()] == ["retired", "champion"]


def test_facts_about_the_database_are_replaced_by_name(store: Store) -> None:
    with store.transaction() as tx:
        tx.set_meta({"clock": "wall", "window": "50/10"})
        tx.set_meta({"clock": "stream"})
        tx.commit()
    with store.read() as view:
        assert view.meta() == {"clock": "stream", "window": "50/10"}


def test_totals_count_everything(store: Store) -> None:
    with store.transaction() as tx:
        users = tx.lock_users(["ann", "bob"])
        tx.resolve_items(["x", "y", "z"])
        tx.insert_events([event(1, user=users["ann"].key, item=1, time_ms=1, seq=1)])
        tx.commit()
    with store.read() as view:
        totals = view.totals()
    assert (totals.users, totals.items, totals.listed_items, totals.events, totals.dead_letters) == (2, 3, 0, 1, 0)


def test_unknown_names_are_answered_with_nothing(store: Store) -> None:
    with store.read() as view:
        assert view.user("nobody") is None
        assert view.items([1, 2]) == {}
        assert view.items_by_id(["nothing"]) == {}
        assert view.champion() is None
        assert (view.models(), view.dead_letters(), view.list_items()) == ([], [], [])
        assert view.applied_offsets("nowhere") == {}


def test_a_user_state_is_all_that_a_reader_needs(store: Store) -> None:
    with store.transaction() as tx:
        key = tx.lock_users(["ann"])["ann"].key
        tx.commit()
    with store.read() as view:
        state = view.user("ann")
    assert isinstance(state, UserState)
    assert state.key == key
