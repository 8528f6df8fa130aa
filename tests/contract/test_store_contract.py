"""What every store promises about users, writers and facts. To a store, times are just integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from stored_events import CLICK, event

from core.history import History, Window
from core.ports.store import Store
from core.records import DeadLetter, UserState


def window(items: Sequence[int], times_ms: Sequence[int], *, num_events: int) -> Window:
    return Window(num_events, History(np.array(items, np.int64), np.array(times_ms, np.int64)))


def test_what_is_not_committed_never_happened(store: Store) -> None:
    with store.transaction() as tx:
        tx.users.lock(["ann"])
        tx.metadata.save({"clock": "wall"})
    with store.read() as view:
        assert view.users.find("ann") is None
        assert view.metadata.all() == {}


def test_an_error_inside_a_transaction_rolls_it_back_and_passes_on(store: Store) -> None:
    def write_and_fail() -> None:
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_and_fail()
    with store.read() as view:
        assert view.users.find("ann") is None


def test_a_reader_keeps_its_snapshot_while_a_writer_commits(store: Store) -> None:
    with store.read() as view:
        assert view.users.find("ann") is None
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            tx.commit()
        assert view.users.find("ann") is None
    with store.read() as view:
        assert view.users.find("ann") is not None


def test_reading_without_a_snapshot_sees_the_newest_commit(store: Store) -> None:
    with store.read(snapshot=False) as view:
        assert view.users.find("ann") is None
        with store.transaction() as tx:
            tx.users.lock(["ann"])
            tx.commit()
    with store.read(snapshot=False) as view:
        assert view.users.find("ann") is not None
        assert view.offsets.applied("interactions") == {}


def test_a_new_user_starts_at_sequence_zero_with_an_empty_window(store: Store) -> None:
    with store.transaction() as tx:
        state = tx.users.lock(["ann"])["ann"]
    assert (state.seq, state.window.num_events, len(state.window.history), state.erased_ms) == (0, 0, 0, None)


def test_locking_gives_each_user_asked_for_once_and_keeps_their_keys(store: Store) -> None:
    with store.transaction() as tx:
        first = tx.users.lock(["bob", "ann", "bob"])
        tx.commit()
    with store.transaction() as tx:
        second = tx.users.lock(["cid", "ann", "bob"])
    assert set(first) == {"ann", "bob"}
    assert {name: state.key for name, state in second.items() if name != "cid"} == {n: s.key for n, s in first.items()}
    assert len({state.key for state in second.values()}) == 3


def test_saved_sequences_and_windows_come_back(store: Store) -> None:
    with store.transaction() as tx:
        states = tx.users.lock(["ann", "bob"])
        tx.users.save([replace(states["ann"], seq=7, window=window([5, 6], [1000, 2000], num_events=9))])
        tx.commit()
    with store.read() as view:
        ann, bob = view.users.find("ann"), view.users.find("bob")
    assert ann is not None
    assert bob is not None
    assert (ann.seq, ann.window.num_events) == (7, 9)
    assert (ann.window.history.items.tolist(), ann.window.history.times_ms.tolist()) == ([5, 6], [1000, 2000])
    assert bob == replace(states["bob"], window=bob.window)


@pytest.mark.parametrize("name", ["Zoë", "日本", "a'b", 'quo"te', "100%", "back\\slash", "🌊", "x" * 256])
def test_any_valid_id_names_one_user_and_one_item(store: Store, name: str) -> None:
    with store.transaction() as tx:
        user, item = tx.users.lock([name])[name].key, tx.items.resolve([name])[name]
        tx.commit()
    with store.read() as view:
        found = view.users.find(name)
        assert found is not None
        assert found.key == user
        assert view.items.by_id([name])[name].key == item


def test_sources_begin_without_an_offset_and_keep_their_keys(store: Store) -> None:
    with store.transaction() as tx:
        sources = tx.offsets.lock("interactions", [4, 3])
        tx.commit()
    with store.transaction() as tx:
        assert tx.offsets.lock("interactions", [3]) == {3: sources[3]}
        assert tx.offsets.lock("interactions", [3, 5, 4]) == sources | {5: tx.offsets.lock("interactions", [5])[5]}
    assert {(source.applied_offset, source.newest_ms) for source in sources.values()} == {(None, None)}
    assert sources[3].key != sources[4].key


def test_offsets_of_several_partitions_are_saved_at_once_and_others_stay(store: Store) -> None:
    with store.transaction() as tx:
        sources = tx.offsets.lock("interactions", [0, 1, 2])
        tx.offsets.save([replace(source, applied_offset=41) for source in sources.values()])
        tx.commit()
    with store.transaction() as tx:
        opened = tx.offsets.lock("interactions", [0, 2])
        assert {source.applied_offset for source in opened.values()} == {41}
        tx.offsets.save([replace(opened[2], applied_offset=50), replace(opened[0], applied_offset=43)])
        tx.commit()
    with store.read() as view:
        assert view.offsets.applied("interactions") == {0: 43, 1: 41, 2: 50}


def test_a_writer_without_offsets_keeps_none(store: Store) -> None:
    with store.transaction() as tx:
        tx.offsets.save([replace(tx.offsets.lock("api", [0])[0], newest_ms=1000)])
        tx.commit()
    with store.read() as view:
        assert view.offsets.applied("api") == {}


def test_the_stream_clock_is_the_newest_event_time_of_any_writer(store: Store) -> None:
    with store.read() as view:
        assert view.offsets.newest_event_ms() is None
    with store.transaction() as tx:
        tx.offsets.save([replace(tx.offsets.lock("api", [0])[0], newest_ms=2000)])
        tx.offsets.save([replace(tx.offsets.lock("interactions", [0])[0], newest_ms=1000)])
        tx.offsets.lock("interactions", [1])
        tx.commit()
    with store.read() as view:
        assert view.offsets.newest_event_ms() == 2000


def test_popularity_is_kept_per_writer_and_joined_by_adding_the_counts(store: Store) -> None:
    with store.transaction() as tx:
        tx.popularity.add(1, {10: 3.0, 11: 4.0})
        tx.popularity.add(2, {10: 3.0})
        tx.popularity.add(1, {11: 4.0})
        tx.commit()
    with store.read() as view:
        keys, scores = view.popularity.scores()
    assert keys.tolist() == [10, 11]
    assert scores.tolist() == pytest.approx([4.0, 5.0])  # 2**3 + 2**3 = 2**4


def test_popularity_joins_scores_far_beyond_what_a_float_can_count(store: Store) -> None:
    with store.transaction() as tx:
        tx.popularity.add(1, {10: 5000.0})
        tx.popularity.add(2, {10: 5000.0})
        for score in (3000.0, 7.0, -5000.0):
            tx.popularity.add(1, {11: score})
        tx.commit()
    with store.read() as view:
        assert view.popularity.scores()[1].tolist() == pytest.approx([5001.0, 3000.0])


@pytest.mark.parametrize("scores", [[-3000.0, 3000.0], [0.5, 0.25, -1.0], [10.0] * 5, [0.0, -59.0, -61.0]])
def test_scores_add_up_as_their_counts_do_in_any_order(store: Store, scores: list[float]) -> None:
    with store.transaction() as tx:
        for score in scores:
            tx.popularity.add(1, {10: score})
        for score in reversed(scores):
            tx.popularity.add(1, {11: score})
        tx.commit()
    with store.read() as view:
        assert view.popularity.scores()[1].tolist()[-2:] == pytest.approx([np.logaddexp2.reduce(scores)] * 2)


def test_dead_letters_come_newest_first_and_whole(store: Store) -> None:
    letters = [DeadLetter("file.csv", 0, line, f"line {line}", b"\x00\xff" * line, 1000 + line) for line in (1, 2, 3)]
    with store.transaction() as tx:
        tx.dead_letters.add(letters)
        tx.commit()
    with store.read() as view:
        found = view.dead_letters.newest(limit=2)
        assert view.totals().dead_letters == view.dead_letters.count() == 3
    assert [replace(letter, key=None) for letter in found] == letters[:0:-1]
    assert len({letter.key for letter in found}) == 2


def test_the_same_bad_input_from_the_same_place_is_kept_once(store: Store) -> None:
    first = DeadLetter("file.csv", 0, 7, "bad", b"line", 1000)
    others = [replace(first, offset=8), replace(first, partition=1), replace(first, source="g.csv")]
    letters = [first, *others, replace(first, payload=b"other")]
    for reason in ("bad", "bad for another reason"):
        with store.transaction() as tx:
            tx.dead_letters.add([replace(letter, reason=reason) for letter in (*letters, first)])
            tx.commit()
    with store.read() as view:
        assert [replace(letter, key=None) for letter in view.dead_letters.newest()] == letters[::-1]


def test_clearing_derived_state_keeps_events_sequences_and_items(store: Store) -> None:
    with store.transaction() as tx:
        ann = tx.users.lock(["ann"])["ann"]
        item = tx.items.resolve(["x"])["x"]
        tx.events.insert([event(1, user=ann.key, item=item, time_ms=10, seq=1)])
        tx.users.save([replace(ann, seq=1, window=window([item], [10], num_events=1))])
        tx.popularity.add(1, {item: 1.0})
        tx.event_counts.add(1, {(0, CLICK): 1})
        tx.commit()
    with store.transaction() as tx:
        tx.users.clear_windows()
        tx.popularity.clear()
        tx.event_counts.clear()
        tx.commit()
    with store.read() as view:
        cleared = view.users.find("ann")
        assert cleared is not None
        assert (cleared.seq, cleared.window.num_events, len(cleared.window.history)) == (1, 0, 0)
        assert view.popularity.scores()[0].tolist() == []
        assert (view.totals().events, view.totals().items) == (1, 1)


def test_facts_about_the_database_are_replaced_by_name(store: Store) -> None:
    with store.transaction() as tx:
        tx.metadata.save({"clock": "wall", "window": "50/10"})
        tx.metadata.save({"clock": "stream"})
        tx.commit()
    with store.read() as view:
        assert view.metadata.all() == {"clock": "stream", "window": "50/10"}


def test_totals_count_everything(store: Store) -> None:
    with store.transaction() as tx:
        users = tx.users.lock(["ann", "bob"])
        tx.items.resolve(["x", "y", "z"])
        tx.events.insert([event(1, user=users["ann"].key, item=1, time_ms=1, seq=1)])
        tx.commit()
    with store.read() as view:
        totals = view.totals()
    assert (totals.users, totals.items, totals.listed_items, totals.events, totals.dead_letters) == (2, 3, 0, 1, 0)


def test_unknown_names_are_answered_with_nothing(store: Store) -> None:
    with store.read() as view:
        assert view.users.find("nobody") is None
        assert view.items.by_key([1, 2]) == {}
        assert view.items.by_id(["nothing"]) == {}
        assert view.models.champion() is None
        assert (view.models.all(), view.dead_letters.newest(), view.items.page()) == ([], [], [])
        assert view.offsets.applied("nowhere") == {}


def test_a_user_state_is_all_that_a_reader_needs(store: Store) -> None:
    with store.transaction() as tx:
        key = tx.users.lock(["ann"])["ann"].key
        tx.commit()
    with store.read() as view:
        state = view.users.find("ann")
    assert isinstance(state, UserState)
    assert state.key == key
