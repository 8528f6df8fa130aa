"""Ingest: each event counts once, in one transaction, whatever is sent again, comes late or is lost on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, SpyingStore, event, history, ingestor, num_events, offsets, user
from doubles import MemoryStore

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.errors import PartitionLost
from core.events.history import EMPTY_WINDOW
from core.events.interactions import Interaction
from core.ingestion.derivation import Derivation
from core.ingestion.sources import EventBatch, RequestSource, StreamSource
from core.records.statuses import EventStatus
from core.records.stored import MANY_EVENTS, DeadLetter

REQUEST = RequestSource("api")


def letter(offset: int) -> DeadLetter:
    return DeadLetter("interactions", 0, offset, "no JSON", b"?", NOW_MS)


# --- what becomes of events


def test_new_events_are_numbered_per_user_in_the_order_of_the_source() -> None:
    store = MemoryStore()
    result = ingestor(store).ingest([event("ann", "tea"), event("bob", "jam"), event("ann", "pen", 1)], REQUEST)
    assert result.statuses == [EventStatus.ACCEPTED] * 3
    assert result.user_seqs == [1, 1, 2]
    assert result.num_accepted == 3
    assert (history(store), history(store, "bob")) == (["tea", "pen"], ["jam"])


def test_result_holds_the_committed_states() -> None:
    store = MemoryStore()
    states = ingestor(store).ingest([event("ann", "tea"), event("bob", "jam")], REQUEST).states
    assert states == {"ann": user(store), "bob": user(store, "bob")}


def test_known_event_is_a_duplicate_and_changes_nothing() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "tea"), event("ann", "jam", 1)], REQUEST)
    before = user(store)
    result = ingest([event("ann", "tea")], REQUEST)
    assert (result.statuses, result.user_seqs, result.states) == ([EventStatus.DUPLICATE], [2], {})
    assert (user(store), num_events(store)) == (before, 2)


def test_an_event_twice_in_one_batch_counts_once() -> None:
    store = MemoryStore()
    result = ingestor(store).ingest([event("ann", "tea"), event("ann", "tea"), event("ann", "jam", 1)], REQUEST)
    assert result.statuses == [EventStatus.ACCEPTED, EventStatus.DUPLICATE, EventStatus.ACCEPTED]
    assert result.user_seqs == [1, 1, 2]
    assert history(store) == ["tea", "jam"]


def test_event_id_of_another_user_is_a_duplicate() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "tea", event_id="e1")], REQUEST)
    assert ingest([event("bob", "jam", event_id="e1")], REQUEST).statuses == [EventStatus.DUPLICATE]
    assert num_events(store) == 1


def test_late_event_is_sorted_by_time_with_the_newest_sequence_number() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "first", 0), event("ann", "third", 20)], REQUEST)
    result = ingest([event("ann", "second", 10), event("ann", "fourth", 30)], REQUEST)
    assert history(store) == ["first", "second", "third", "fourth"]
    assert result.user_seqs == [3, 4]
    assert user(store).window.num_events == 4


def test_event_older_than_the_window_advances_it_but_stays_outside() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", f"i{at_s}", at_s) for at_s in range(1, 6)], REQUEST)
    ingest([event("ann", "old", 0)], REQUEST)
    assert history(store) == ["i2", "i3", "i4", "i5"]  # six events, W = 3, S = 2: the window starts at rank 2
    assert user(store).window.num_events == 6


def test_late_and_punctual_users_of_one_batch_each_get_their_window() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event(user_id, "now", 10) for user_id in ("ann", "bob", "cid")], REQUEST)
    ingest([event("ann", "late", 5), event("bob", "next", 15), event("cid", "late", 5)], REQUEST)
    assert [history(store, name) for name in ("ann", "bob", "cid")] == [
        ["late", "now"],
        ["now", "next"],
        ["late", "now"],
    ]


def test_events_with_equal_times_keep_the_order_of_the_source() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "b"), event("ann", "a")], REQUEST)
    ingest([event("ann", "c")], REQUEST)
    assert history(store) == ["b", "a", "c"]


def test_types_outside_the_window_are_stored_but_not_encoded() -> None:
    store = MemoryStore()
    events = [event("ann", "tea", 0, kind="impression"), event("ann", "jam", 1, kind="dislike")]
    result = ingestor(store).ingest(events, REQUEST)
    assert result.user_seqs == [1, 2]
    assert user(store) == replace(result.states["ann"], seq=2, window=EMPTY_WINDOW)
    assert num_events(store) == 2


def test_a_late_impression_does_not_rebuild_the_window() -> None:
    store = SpyingStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "tea", 10)], REQUEST)
    ingest([event("ann", "jam", 5, kind="impression")], REQUEST)
    assert "events.histories" not in {name for name, _ in store.calls}
    assert history(store) == ["tea"]


def test_value_context_and_recommendation_are_stored_with_the_event() -> None:
    store = MemoryStore()
    rated = Interaction("e1", "ann", "tea", "rating", NOW_MS, 4.0, {"page": "home"}, "r1")
    ingestor(store).ingest([rated], REQUEST)
    with store.read() as read:
        (row,) = next(read.events.pages())
    assert (row.value, row.context, row.recommendation_id) == (4.0, {"page": "home"}, "r1")
    assert (row.type_code, row.time_ms, row.user_seq) == (TYPES.code("rating"), NOW_MS, 1)


# --- offsets


def test_messages_at_or_below_the_applied_offset_are_skipped() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "a", 0), event("ann", "b", 1)], offsets(0, 1))
    redelivered = [replace(event("ann", "b", 1), event_id="another id, the same message"), event("ann", "c", 2)]
    result = ingest(redelivered, offsets(1, 2))
    assert result.statuses == [EventStatus.SKIPPED, EventStatus.ACCEPTED]
    assert result.user_seqs == [0, 3]
    assert history(store) == ["a", "b", "c"]


def test_a_redelivery_of_old_messages_never_moves_the_offset_back() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    applier.ingest([event("ann", "a", 0), event("ann", "b", 1)], offsets(0, 1))
    assert applier.ingest([event("ann", "a", 0)], offsets(0, 0)).statuses == [EventStatus.SKIPPED]
    assert applier.applied_offset("interactions", 0) == 1


def test_offset_advances_to_the_last_message_even_without_events() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    applier.ingest([], StreamSource("interactions", 0, [], 0, 7))
    assert applier.applied_offset("interactions", 0) == 7
    assert applier.applied_offset("interactions", 1) is None


def test_many_events_of_one_message_share_its_offset() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    first = applier.ingest([event("ann", "a", 0), event("ann", "b", 1)], StreamSource("interactions", 0, [5, 5], 5, 5))
    second = applier.ingest([event("ann", "c", 2)], StreamSource("interactions", 0, [5], 5, 5))
    assert first.num_accepted == 2
    assert second.statuses == [EventStatus.SKIPPED]


def test_partitions_and_streams_have_offsets_of_their_own() -> None:
    applier = ingestor(MemoryStore())
    applier.ingest([event("ann", "a", 0)], offsets(9, 9, partition=0))
    assert applier.ingest([event("bob", "a", 0)], offsets(3, 3, partition=1)).num_accepted == 1
    assert applier.ingest([event("cid", "a", 0)], offsets(3, 3, stream="other")).num_accepted == 1


def test_worker_loses_a_partition_that_another_worker_advanced() -> None:
    store = MemoryStore()
    zombie, owner = ingestor(store), ingestor(store)
    zombie.ingest([event("ann", "a", 0)], offsets(0, 0))
    owner.ingest([event("ann", "b", 1)], offsets(1, 1))
    with pytest.raises(PartitionLost, match=r"interactions/0: offsets 2\.\.2 were not applied: .* is no longer 0"):
        zombie.ingest([event("eve", "c", 2)], offsets(2, 2), dead_letters=[letter(3)])
    with store.read() as read:
        assert read.users.find("eve") is None
        assert read.dead_letters.newest() == []
        assert read.offsets.applied("interactions") == {0: 1}
        assert read.offsets.newest_event_ms() == NOW_MS + 1000


def test_worker_that_read_an_empty_partition_loses_it_to_the_first_writer() -> None:
    store = MemoryStore()
    zombie = ingestor(store)
    assert zombie.applied_offset("interactions", 0) is None
    ingestor(store).ingest([event("ann", "a", 0)], offsets(0, 0))
    with pytest.raises(PartitionLost, match="the applied offset is no longer None"):
        zombie.ingest([event("ann", "a", 0)], offsets(0, 0))


def test_after_a_loss_the_worker_starts_from_what_the_database_says() -> None:
    store = MemoryStore()
    zombie = ingestor(store)
    zombie.ingest([event("ann", "a", 0)], offsets(0, 0))
    ingestor(store).ingest([event("ann", "b", 1)], offsets(1, 1))
    with pytest.raises(PartitionLost):
        zombie.ingest([event("ann", "b", 1)], offsets(1, 1))
    result = zombie.ingest([event("ann", "b", 1), event("ann", "c", 2)], offsets(1, 2))
    assert result.statuses == [EventStatus.SKIPPED, EventStatus.ACCEPTED]
    assert history(store) == ["a", "b", "c"]


def test_batches_of_several_partitions_are_applied_in_one_transaction() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    applier.ingest([event("ann", "a", 0)], offsets(4, 4, partition=2))
    redelivered = EventBatch([event("ann", "a", 0), event("ann", "b", 1)], offsets(4, 5, partition=2))
    result = applier.ingest_together([redelivered, EventBatch([event("bob", "a", 0)], offsets(9, 9, partition=0))])
    assert result.statuses == [EventStatus.SKIPPED, EventStatus.ACCEPTED, EventStatus.ACCEPTED]
    assert (result.user_seqs, set(result.states)) == ([0, 2, 1], {"ann", "bob"})
    with store.read() as read:
        assert read.offsets.applied("interactions") == {0: 9, 2: 5}


def test_lost_partitions_of_a_batch_are_named_and_nothing_is_applied() -> None:
    store = MemoryStore()
    zombie, owner = ingestor(store), ingestor(store)
    for partition in range(3):
        zombie.ingest([], StreamSource("interactions", partition, [], 0, 0))
    for partition in (0, 2):
        owner.ingest([], StreamSource("interactions", partition, [], 1, 1))
    batches = [EventBatch([event(f"user-{p}", "c")], offsets(1, 1, partition=p), [letter(1)]) for p in range(3)]
    message = r"interactions/0: offsets 1\.\.1 .* is no longer 0, .*; interactions/2: .*; another worker owns"
    with pytest.raises(PartitionLost, match=message) as lost:
        zombie.ingest_together(batches)
    assert lost.value.partitions == {0, 2}
    with store.read() as read:
        assert (num_events(store), read.dead_letters.newest()) == (0, [])
        assert read.offsets.applied("interactions") == {0: 1, 1: 0, 2: 1}
    assert zombie.ingest_together(batches[1:2]).num_accepted == 1


def test_losing_one_partition_leaves_the_others_fenced() -> None:
    store = MemoryStore()
    zombie, owner = ingestor(store), ingestor(store)
    for partition in (0, 1):
        zombie.ingest([], StreamSource("interactions", partition, [], 0, 0))
        owner.ingest([], StreamSource("interactions", partition, [], 1, 1))
    for partition in (0, 1):
        with pytest.raises(PartitionLost) as lost:
            zombie.ingest([], StreamSource("interactions", partition, [], 2, 2))
        assert lost.value.partitions == {partition}


def test_requests_have_no_offset_and_share_the_store_with_streams() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    applier.ingest([event("ann", "a", 0)], REQUEST)
    applier.ingest([event("ann", "b", 1)], offsets(0, 0))
    applier.ingest([event("ann", "c", 2)], REQUEST)
    assert history(store) == ["a", "b", "c"]
    with store.read() as read:
        assert read.offsets.applied("api") == {}


# --- the bad part of a batch


def test_dead_letters_are_kept_in_the_transaction_of_their_batch() -> None:
    store = MemoryStore()
    ingestor(store).ingest([event("ann", "a", 0)], StreamSource("interactions", 0, [0], 0, 1), dead_letters=[letter(1)])
    with store.read() as read:
        assert [dead_letter.offset for dead_letter in read.dead_letters.newest()] == [1]


def test_dead_letters_of_messages_applied_before_are_not_kept_twice() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    for _ in range(2):
        applier.ingest([], StreamSource("interactions", 0, [], 0, 1), dead_letters=[letter(0), letter(1)])
    with store.read() as read:
        assert read.totals().dead_letters == 2


# --- erased users


def erase(store: MemoryStore, user_id: str, *, at_s: int) -> None:
    erase_user(store, user_id, clock=ManualClock(NOW_MS + at_s * 1000), derivation=Derivation(TYPES, SHAPE))


def test_redelivered_events_of_an_erased_user_leave_no_trace() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "tea", 0)], REQUEST)
    erase(store, "ann", at_s=60)
    result = ingest([event("ann", "tea", 0), event("ann", "secret item", 60)], REQUEST)
    assert (result.statuses, result.user_seqs) == ([EventStatus.ERASED] * 2, [0, 0])
    with store.read() as read:
        assert read.users.find("ann") is None
        assert read.items.by_id(["secret item"]) == {}
        assert read.totals().events == 0


def test_returning_erased_user_continues_the_sequence_without_a_history() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "tea", 0), event("ann", "jam", 1)], REQUEST)
    erase(store, "ann", at_s=60)
    result = ingest([event("ann", "pen", 61), event("ann", "tea", 0), event("bob", "tea", 0)], REQUEST)
    assert result.statuses == [EventStatus.ACCEPTED, EventStatus.ERASED, EventStatus.ACCEPTED]
    assert result.user_seqs == [3, 0, 1]
    assert history(store) == ["pen"]


def test_erased_events_stay_erased_after_the_user_returned() -> None:
    store = MemoryStore()
    ingest = ingestor(store).ingest
    ingest([event("ann", "tea", 0)], REQUEST)
    erase(store, "ann", at_s=60)
    ingest([event("ann", "pen", 61)], REQUEST)
    assert ingest([event("ann", "tea", 0)], REQUEST).statuses == [EventStatus.ERASED]
    assert history(store) == ["pen"]


# --- many events of a stream


def many(first: int) -> list[Interaction]:
    return [event("ann", "tea", number, event_id=f"e{number}") for number in range(first, first + MANY_EVENTS)]


def test_many_events_are_not_looked_up_while_all_are_new() -> None:
    store = SpyingStore()
    applier = ingestor(store)
    applier.ingest(many(0), offsets(0, MANY_EVENTS - 1))
    assert "events.known" not in dict(store.calls)
    applier.ingest([event("ann", "tea", event_id="e0")], offsets(MANY_EVENTS, MANY_EVENTS))
    assert "events.known" in dict(store.calls)
    assert num_events(store) == MANY_EVENTS


def test_a_stored_event_among_many_is_a_duplicate_and_changes_nothing() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    applier.ingest([event("bob", "jam", event_id="e7")], REQUEST)
    for start in (0, MANY_EVENTS):  # the second batch is looked up at once
        result = applier.ingest(many(0), offsets(start, start + MANY_EVENTS - 1))
        expected = ["e7"] if not start else [f"e{number}" for number in range(MANY_EVENTS)]
        duplicates = [i for i, status in enumerate(result.statuses) if status is EventStatus.DUPLICATE]
        assert [f"e{index}" for index in duplicates] == expected
    assert num_events(store) == MANY_EVENTS
    assert user(store, "ann").seq == MANY_EVENTS - 1


def test_a_user_whose_events_are_all_duplicates_is_not_created() -> None:
    store = MemoryStore()
    applier = ingestor(store)
    applier.ingest([event("bob", "jam", event_id="e1")], REQUEST)
    assert applier.ingest([event("ann", "jam", event_id="e1")], REQUEST).statuses == [EventStatus.DUPLICATE]
    with store.read() as read:
        assert read.users.find("ann") is None
