"""What becomes of a partition that stands still: read again, and who is to blame where that does not help."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from core.errors import StreamUnavailable
from stream.worker.offset_tracker import OffsetTracker
from stream.worker.resume import Resumer
from stream.worker.stall_detector import StallDetector
from stream.worker.stall_recovery import StallRecovery
from stream.worker.status import PartitionStatus, Tally, WorkerStatus


class Ended(Exception):
    """The process is gone."""


class StuckClient:
    """One partition with offsets 0 to 99, of which nothing arrives."""

    def __init__(self) -> None:
        self.taken = 42
        self.kafka_answers = True
        self.num_seeks = 0

    def assigned(self) -> set[int]:
        return {0}

    async def bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        return {partition: (0, 100) for partition in partitions}

    async def bounds_anew(self) -> Mapping[int, tuple[int, int]]:
        if not self.kafka_answers:
            msg = "no broker"
            raise StreamUnavailable(msg)
        return {0: (0, 100)}

    async def read_from(self, offsets: Mapping[int, int]) -> None:
        self.num_seeks += 1

    def read_to(self, partition: int) -> int | None:
        return self.taken


class Case:
    """A worker with nothing in hand whose database has applied offsets up to 41; a clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.num_signs = 0
        self.client = StuckClient()
        self.tally = Tally(num_messages=7)
        positions = OffsetTracker()
        resumer = Resumer(
            "interactions", positions=positions, applied_offset=self._applied, fail=self._fail, alive=self._alive
        )
        self.rescue = StallRecovery(
            "interactions",
            resumer=resumer,
            positions=positions,
            standstill=StallDetector(after_s=3.0, now_s=lambda: self.now_s),
            alive=self._alive,
            end=self._end,
            now_s=lambda: self.now_s,
        )

    async def _applied(self, partition: int) -> int | None:
        return 41

    def _alive(self) -> None:
        self.num_signs += 1

    def _fail(self, error: BaseException) -> None:
        raise error

    def _end(self, reason: str) -> None:
        raise Ended(reason)

    def look(self, *, until_s: int, log_end: int = 100) -> None:
        """Once a second, at a partition that stands at offset 42; `log_end`: as of what was fetched last."""

        async def scenario() -> None:
            while self.now_s <= until_s:
                status = WorkerStatus("worker-1", {0: PartitionStatus(42, log_end)}, self.tally)
                await self.rescue.look(status, self.client)
                self.now_s += 1.0

        asyncio.run(scenario())


def test_what_stands_still_is_read_again_and_the_worker_goes_on() -> None:
    case = Case()
    case.look(until_s=8)
    assert case.client.num_seeks == 1


def test_a_worker_ends_itself_when_reading_again_did_not_help_and_kafka_answers_a_new_connection() -> None:
    case = Case()
    reason = "interactions/0@42: messages wait and Kafka answers, but none arrives, nor did reading again help"
    with pytest.raises(Ended, match=reason):
        case.look(until_s=60)
    assert case.now_s == 9.0


def test_a_client_that_fetches_no_more_is_noticed_although_it_knows_of_no_message_that_waits() -> None:
    case = Case()
    with pytest.raises(Ended):
        case.look(until_s=60, log_end=42)
    assert case.now_s == 9.0


def test_a_worker_does_not_end_itself_because_kafka_is_away() -> None:
    case = Case()
    case.client.kafka_answers = False
    case.look(until_s=120)
    assert case.client.num_seeks == 5


def test_a_worker_that_never_received_a_message_does_not_end_itself_because_none_arrives() -> None:
    case = Case()
    case.tally.num_messages = 0
    case.look(until_s=120)
    assert case.client.num_seeks == 5


def test_where_the_end_of_the_log_holds_no_message_nothing_is_wrong() -> None:
    case = Case()
    case.client.taken = 100
    case.look(until_s=60)
    assert case.num_signs > 50


def test_what_stands_still_while_something_is_in_hand_is_left_alone() -> None:
    case = Case()
    for _ in range(20):
        case.look(until_s=int(case.now_s) + 1)
        case.rescue.busy()
    assert case.client.num_seeks == 0
