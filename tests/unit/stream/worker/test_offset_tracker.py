"""Messages count only where they follow what the database has applied."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.worker.offset_tracker import OffsetCheck, OffsetTracker


def sought(offset: int) -> OffsetTracker:
    positions = OffsetTracker()
    positions.sought(0, offset)
    return positions


def test_messages_in_a_row_are_accepted() -> None:
    positions = sought(10)
    assert positions.admit(0, [10, 11, 12]) == OffsetCheck(accepted=[0, 1, 2])
    assert positions.next_offset(0) == 13


def test_messages_that_the_database_has_applied_are_told_apart() -> None:
    assert sought(10).admit(0, [8, 9, 10]) == OffsetCheck(accepted=[2], applied=[0, 1])


def test_nothing_counts_in_a_partition_that_was_not_sought() -> None:
    assert sought(10).admit(1, [0, 1]) == OffsetCheck()


def test_nothing_counts_while_partitions_change_hands() -> None:
    positions = sought(10)
    positions.suspend()
    assert positions.admit(0, [10]) == OffsetCheck()
    assert positions.next_offset(0) is None


def test_nothing_counts_in_a_lost_partition_until_it_is_sought_again() -> None:
    positions = sought(10)
    positions.admit(0, [10, 11])
    positions.forget(0)
    assert positions.admit(0, [12]) == OffsetCheck()
    positions.sought(0, 11)
    assert positions.admit(0, [11, 12]) == OffsetCheck(accepted=[0, 1])


def test_messages_buffered_under_an_older_position_are_left_out_and_asked_for_again() -> None:
    positions = sought(10)
    assert positions.admit(0, [61, 62, 63]) == OffsetCheck(seek=True)
    positions.sought(0, 10)
    assert positions.admit(0, [64, 65]) == OffsetCheck()  # older ones still in the buffer
    assert positions.admit(0, [10, 11]) == OffsetCheck(accepted=[0, 1])


def test_buffered_and_fresh_messages_in_one_batch_are_told_apart() -> None:
    assert sought(10).admit(0, [61, 62, 10, 11]).accepted == [2, 3]


def test_a_gap_that_is_still_there_after_a_second_seek_is_believed() -> None:
    positions = sought(10)
    assert positions.admit(0, [12, 13]) == OffsetCheck(seek=True)
    positions.sought(0, 10)
    assert positions.admit(0, [12, 13]) == OffsetCheck(accepted=[0, 1], missing_from=10)


def test_the_same_message_twice_in_one_batch_is_no_second_sight() -> None:
    assert sought(10).admit(0, [12, 12]) == OffsetCheck(seek=True)


def test_the_smallest_offset_after_a_gap_is_the_one_that_must_come_back() -> None:
    positions = sought(10)
    assert positions.admit(0, [61]).seek
    positions.sought(0, 10)
    assert positions.admit(0, [12, 13]).seek
    positions.sought(0, 10)
    assert positions.admit(0, [12, 13]).accepted == [0, 1]


def test_a_gap_in_mid_flow_stops_the_flow_until_it_was_seen_twice() -> None:
    positions = sought(10)
    assert positions.admit(0, [10, 12, 13]) == OffsetCheck(accepted=[0], seek=True)
    positions.sought(0, 11)
    assert positions.admit(0, [12, 13]) == OffsetCheck(accepted=[0, 1], missing_from=11)


def test_in_a_partition_known_to_have_gaps_later_ones_are_accepted_and_named() -> None:
    positions = sought(10)
    positions.admit(0, [12])
    positions.sought(0, 10)
    positions.admit(0, [12])
    assert positions.admit(0, [13, 15, 16, 18]) == OffsetCheck(accepted=[0, 1, 2, 3], missing_from=14)


@given(st.lists(st.integers(0, 50), max_size=40, unique=True), st.data())
def test_whatever_is_buffered_no_offset_of_a_log_without_gaps_is_skipped(stale: list[int], data: st.DataObject) -> None:
    positions = sought(10)
    arriving = [*stale, *range(10, 40)]
    applied: list[int] = []
    while arriving:
        size = data.draw(st.integers(1, 9))
        batch, arriving = arriving[:size], arriving[size:]
        admission = positions.admit(0, batch)
        applied.extend(batch[place] for place in admission.accepted)
        if admission.seek:
            following = applied[-1] + 1 if applied else 10
            positions.sought(0, following)
            arriving = [*arriving, *range(following, 40)]
    assert [offset for offset in applied if offset < 40] == list(range(10, 40))
