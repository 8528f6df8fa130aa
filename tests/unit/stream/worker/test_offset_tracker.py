"""Messages are accepted only where they follow the database's offset."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.worker.offset_tracker import OffsetCheck, OffsetTracker


def sought_at(offset: int) -> OffsetTracker:
    tracker = OffsetTracker()
    tracker.seek(0, offset)
    return tracker


def test_messages_in_a_row_are_accepted() -> None:
    tracker = sought_at(10)
    assert tracker.check(0, [10, 11, 12]) == OffsetCheck(accepted=[0, 1, 2])
    assert tracker.next_offset(0) == 13


def test_already_applied_messages_are_recognised() -> None:
    assert sought_at(10).check(0, [8, 9, 10]) == OffsetCheck(accepted=[2], already_applied=[0, 1])


def test_nothing_is_accepted_in_a_partition_that_was_not_sought() -> None:
    assert sought_at(10).check(1, [0, 1]) == OffsetCheck()


def test_nothing_is_accepted_during_a_rebalance() -> None:
    tracker = sought_at(10)
    tracker.reset()
    assert tracker.check(0, [10]) == OffsetCheck()
    assert tracker.next_offset(0) is None


def test_nothing_is_accepted_in_a_lost_partition_until_its_next_seek() -> None:
    tracker = sought_at(10)
    tracker.check(0, [10, 11])
    tracker.forget(0)
    assert tracker.check(0, [12]) == OffsetCheck()
    tracker.seek(0, 11)
    assert tracker.check(0, [11, 12]) == OffsetCheck(accepted=[0, 1])


def test_messages_buffered_before_a_seek_are_left_out_and_sought_again() -> None:
    tracker = sought_at(10)
    assert tracker.check(0, [61, 62, 63]) == OffsetCheck(seek=True)
    tracker.seek(0, 10)
    assert tracker.check(0, [64, 65]) == OffsetCheck()  # older ones still in the buffer
    assert tracker.check(0, [10, 11]) == OffsetCheck(accepted=[0, 1])


def test_messages_from_before_and_after_a_seek_may_share_a_batch() -> None:
    assert sought_at(10).check(0, [61, 62, 10, 11]).accepted == [2, 3]


def test_a_gap_is_accepted_where_the_log_has_no_message_in_it() -> None:
    tracker = sought_at(10)
    tracker.add_gap(0, 11, 14)
    assert tracker.check(0, [10, 14]) == OffsetCheck(accepted=[0, 1])


def test_gaps_that_meet_are_one() -> None:
    tracker = sought_at(10)
    tracker.add_gap(0, 10, 12)
    tracker.add_gap(0, 12, 13)
    assert tracker.check(0, [13]) == OffsetCheck(accepted=[0])


def test_another_gap_is_not_accepted_however_often_it_comes() -> None:
    tracker = sought_at(10)
    tracker.add_gap(0, 11, 14)
    assert [tracker.check(0, [14]), tracker.check(0, [14])] == [OffsetCheck(seek=True)] * 2
    assert tracker.check(0, [10, 14]) == OffsetCheck(accepted=[0, 1])


def test_a_gap_twice_in_one_batch_is_sought_once() -> None:
    assert sought_at(10).check(0, [12, 12]) == OffsetCheck(seek=True)


def test_the_next_offset_lies_behind_a_gap_at_the_logs_end() -> None:
    tracker = sought_at(10)
    tracker.check(0, [10])
    tracker.add_gap(0, 11, 13)
    assert tracker.next_offset(0) == 13


def test_a_gap_at_the_logs_end_is_taken_once() -> None:
    tracker = sought_at(10)
    tracker.check(0, [10])
    assert tracker.take_trailing_gap(0) is None
    tracker.add_gap(0, 11, 13)
    assert tracker.take_trailing_gap(0) == range(11, 13)
    assert tracker.take_trailing_gap(0) is None


def test_a_gap_before_a_message_is_not_at_the_logs_end() -> None:
    tracker = sought_at(10)
    tracker.add_gap(0, 10, 12)
    tracker.check(0, [12])
    assert tracker.take_trailing_gap(0) is None


def test_gaps_of_partitions_that_were_not_sought_are_ignored() -> None:
    tracker = OffsetTracker()
    tracker.add_gap(0, 10, 12)
    tracker.seek(0, 10)
    assert tracker.next_offset(0) == 10
    assert tracker.take_trailing_gap(1) is None


@given(st.sets(st.integers(0, 39)), st.lists(st.integers(1, 9)), st.data())
def test_every_message_of_a_log_with_gaps_is_accepted_once(
    markers: set[int], fetch_sizes: list[int], data: st.DataObject
) -> None:
    tracker, applied, position = sought_at(0), list[int](), 0
    for size in [*fetch_sizes, 40]:
        end = min(position + size, 40)
        messages = [offset for offset in range(position, end) if offset not in markers]
        for start, following in zip([position, *(offset + 1 for offset in messages)], [*messages, end], strict=True):
            if start < following:
                tracker.add_gap(0, start, following)
        stale = data.draw(st.lists(st.integers(0, position - 1), max_size=3)) if position else []
        arriving = [*stale, *messages]
        check = tracker.check(0, arriving)
        assert not check.seek
        applied += [arriving[index] for index in check.accepted]
        position = end
    assert applied == [offset for offset in range(40) if offset not in markers]
    assert tracker.next_offset(0) == 40


@given(st.lists(st.integers(0, 50), max_size=40, unique=True), st.data())
def test_no_offset_of_a_log_without_gaps_is_skipped(stale: list[int], data: st.DataObject) -> None:
    tracker = sought_at(10)
    arriving = [*stale, *range(10, 40)]
    applied: list[int] = []
    while arriving:
        size = data.draw(st.integers(1, 9))
        batch, arriving = arriving[:size], arriving[size:]
        check = tracker.check(0, batch)
        applied.extend(batch[index] for index in check.accepted)
        if check.seek:
            following = applied[-1] + 1 if applied else 10
            tracker.seek(0, following)
            arriving = [*arriving, *range(following, 40)]
    assert [offset for offset in applied if offset < 40] == list(range(10, 40))
