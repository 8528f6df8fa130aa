"""Partitions in which messages wait and none arrives, against offsets that hold no message."""

from __future__ import annotations

from stream.worker.stall_detector import StallDetector
from stream.worker.status import PartitionStatus

WAITING = PartitionStatus(next_offset=5, log_end=9)


class Case:
    """A clock moved by hand; the client has taken everything from Kafka unless told otherwise."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.standstill = StallDetector(after_s=3.0, now_s=lambda: self.now_s)

    def check(self, status: PartitionStatus, *, at_s: float) -> list[int]:
        self.now_s = at_s
        return self.standstill.check({0: status})

    def read_again(self, status: PartitionStatus, *, at_s: float) -> bool:
        """As the worker does where it is told to."""
        again = self.check(status, at_s=at_s) == [0]
        if again:
            self.standstill.read_again(0)
        return again

    def nothing_more(self, status: PartitionStatus, *, read_to: int | None = 9) -> bool:
        return self.standstill.nothing_more({0: status}, read_to=lambda partition: read_to)


def test_a_partition_in_which_messages_wait_and_none_arrives_is_read_again_after_a_while() -> None:
    case = Case()
    assert [case.check(WAITING, at_s=at_s) for at_s in (0.0, 1.0, 2.0, 3.0)] == [[], [], [], [0]]


def test_a_partition_that_moves_or_has_nothing_to_read_or_waits_for_its_seek_is_left_alone() -> None:
    for statuses in (
        [PartitionStatus(offset, 99) for offset in range(5)],
        [PartitionStatus(9, 9)] * 5,
        [PartitionStatus(None, 9)] * 5,
        [PartitionStatus(5, None)] * 5,
    ):
        case = Case()
        assert [case.check(status, at_s=10.0 * place) for place, status in enumerate(statuses)] == [[]] * 5


def test_what_stands_still_because_the_worker_has_something_in_hand_is_left_alone() -> None:
    case = Case()
    case.check(WAITING, at_s=0.0)
    case.standstill.forget()
    assert case.check(WAITING, at_s=10.0) == []


def test_pauses_between_readings_of_the_same_place_grow() -> None:
    case = Case()
    read_again_at_s = [at_s for at_s in range(100) if case.read_again(WAITING, at_s=float(at_s))]
    assert read_again_at_s == [3, 9, 21, 45, 93]


def test_new_messages_behind_a_standstill_do_not_hide_it() -> None:
    case = Case()
    assert [case.check(PartitionStatus(5, 9 + at_s), at_s=float(at_s)) for at_s in range(4)] == [[], [], [], [0]]


def test_nothing_is_there_only_when_it_was_read_again_to_the_end_and_nothing_came() -> None:
    case = Case()
    case.check(WAITING, at_s=0.0)
    assert not case.nothing_more(WAITING)
    assert case.read_again(WAITING, at_s=3.0)
    assert not case.nothing_more(WAITING, read_to=8)
    assert not case.nothing_more(WAITING, read_to=None)
    assert case.nothing_more(WAITING)
    assert not case.nothing_more(PartitionStatus(next_offset=5, log_end=10), read_to=10)


def test_nothing_is_there_where_every_partition_is_read_to_its_end_or_there_is_none() -> None:
    standstill = StallDetector()
    assert standstill.nothing_more({}, read_to=lambda partition: None)
    assert standstill.nothing_more({0: PartitionStatus(7, 7)}, read_to=lambda partition: None)
    assert not standstill.nothing_more({0: PartitionStatus(None, 7)}, read_to=lambda partition: 7)


def test_reading_again_is_in_vain_only_at_the_place_where_it_was_done() -> None:
    case = Case()
    case.check(WAITING, at_s=0.0)
    assert not case.standstill.in_vain(0)
    assert case.read_again(WAITING, at_s=3.0)
    case.check(PartitionStatus(next_offset=5, log_end=12), at_s=4.0)
    assert case.standstill.in_vain(0)
    case.check(PartitionStatus(next_offset=6, log_end=12), at_s=5.0)
    assert not case.standstill.in_vain(0)


def test_a_place_gets_its_next_chance_from_when_it_was_read_again_however_long_that_took() -> None:
    case = Case()
    case.check(WAITING, at_s=0.0)
    assert case.check(WAITING, at_s=3.0) == [0]
    case.now_s = 60.0  # the database was asked where to read, and was away
    case.standstill.read_again(0)
    assert [case.check(WAITING, at_s=at_s) for at_s in (61.0, 65.9, 66.0)] == [[], [], [0]]
