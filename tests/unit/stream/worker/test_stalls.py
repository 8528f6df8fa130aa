"""Stall handling: noticing stalled partitions, seeking them again, and ending a worker where that does not help."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping

import pytest

from core.errors import StreamUnavailable
from stream.kafka.admin import PartitionStatus
from stream.worker.log_identity import LogIdentity
from stream.worker.offset_seeker import OffsetSeeker
from stream.worker.offset_tracker import OffsetTracker
from stream.worker.stalls import StallDetector, StallRecovery, Watchdog
from stream.worker.status import WorkerCounters, WorkerStatus

WAITING = PartitionStatus(next_offset=5, end_offset=9)


class DetectorCase:
    """A detector with a manual clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.detector = StallDetector(timeout_s=3.0, now_s=lambda: self.now_s)

    def check(self, status: PartitionStatus, *, at_s: float) -> list[int]:
        self.now_s = at_s
        return self.detector.check({0: status})

    def seek_again(self, status: PartitionStatus, *, at_s: float) -> bool:
        """As `StallRecovery` does."""
        stalled = self.check(status, at_s=at_s) == [0]
        if stalled:
            self.detector.mark_sought(0)
        return stalled


def test_a_partition_that_lags_and_stands_still_is_stalled() -> None:
    case = DetectorCase()
    assert [case.check(WAITING, at_s=at_s) for at_s in (0.0, 1.0, 2.0, 3.0)] == [[], [], [], [0]]


def test_a_partition_that_moves_or_does_not_lag_is_not_stalled() -> None:
    for statuses in (
        [PartitionStatus(offset, 99) for offset in range(5)],
        [PartitionStatus(9, 9)] * 5,
        [PartitionStatus(None, 9)] * 5,
        [PartitionStatus(5, None)] * 5,
    ):
        case = DetectorCase()
        assert [case.check(status, at_s=10.0 * index) for index, status in enumerate(statuses)] == [[]] * 5


def test_a_partition_is_not_stalled_while_messages_are_applied() -> None:
    case = DetectorCase()
    case.check(WAITING, at_s=0.0)
    case.detector.reset()
    assert case.check(WAITING, at_s=10.0) == []


def test_the_timeout_doubles_with_each_seek_at_the_same_offset() -> None:
    case = DetectorCase()
    sought_at_s = [at_s for at_s in range(100) if case.seek_again(WAITING, at_s=float(at_s))]
    assert sought_at_s == [3, 9, 21, 45, 93]


def test_new_messages_do_not_hide_a_stall() -> None:
    case = DetectorCase()
    assert [case.check(PartitionStatus(5, 9 + at_s), at_s=float(at_s)) for at_s in range(4)] == [[], [], [], [0]]


def test_the_time_before_a_lag_does_not_count() -> None:
    case = DetectorCase()
    case.check(PartitionStatus(next_offset=5, end_offset=5), at_s=0.0)
    assert [case.check(WAITING, at_s=at_s) for at_s in (4.0, 6.0, 7.0)] == [[], [], [0]]


def test_a_seek_only_counts_at_the_offset_where_it_was_done() -> None:
    case = DetectorCase()
    case.check(WAITING, at_s=0.0)
    assert not case.detector.was_sought(0)
    assert case.seek_again(WAITING, at_s=3.0)
    case.check(PartitionStatus(next_offset=5, end_offset=12), at_s=4.0)
    assert case.detector.was_sought(0)
    case.check(PartitionStatus(next_offset=6, end_offset=12), at_s=5.0)
    assert not case.detector.was_sought(0)


def test_the_timeout_starts_anew_when_the_seek_is_done() -> None:
    case = DetectorCase()
    case.check(WAITING, at_s=0.0)
    assert case.check(WAITING, at_s=3.0) == [0]
    case.now_s = 60.0  # the database was unavailable during the seek
    case.detector.mark_sought(0)
    assert [case.check(WAITING, at_s=at_s) for at_s in (61.0, 65.9, 66.0)] == [[], [], [0]]


class ProcessExit(Exception):
    """In place of the end of the process."""


class StalledConsumer:
    """One partition with offsets 0 to 99, from which no message arrives."""

    def __init__(self) -> None:
        self.end_offset = 100
        self.kafka_responds = True
        self.num_seeks = 0

    def assigned_partitions(self) -> set[int]:
        return {0}

    async def log_id(self) -> str | None:
        return None

    async def log_bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        return {partition: (0, self.end_offset) for partition in partitions}

    async def log_bounds_on_new_connection(self) -> Mapping[int, tuple[int, int]]:
        if not self.kafka_responds:
            msg = "no broker"
            raise StreamUnavailable(msg)
        return {0: (0, self.end_offset)}

    async def seek_to(self, offsets: Mapping[int, int]) -> None:
        self.num_seeks += 1


class RecoveryCase:
    """An idle worker whose database has applied offsets up to 41, with a manual clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.num_watchdog_resets = 0
        self.consumer = StalledConsumer()
        self.counters = WorkerCounters(num_messages=7)
        offsets = OffsetTracker()
        seeker = OffsetSeeker(
            "interactions",
            offsets=offsets,
            log=LogIdentity("interactions", adopt=self._adopt),
            applied_offset=self._applied_offset,
            fail=self._fail,
            reset_watchdog=self._reset_watchdog,
        )
        self.recovery = StallRecovery(
            "interactions",
            seeker=seeker,
            offsets=offsets,
            detector=StallDetector(timeout_s=3.0, now_s=lambda: self.now_s),
            reset_watchdog=self._reset_watchdog,
            exit_worker=self._exit,
            now_s=lambda: self.now_s,
        )

    async def _adopt(self, log_id: str) -> bool:
        return False

    async def _applied_offset(self, partition: int) -> int | None:
        return 41

    def _reset_watchdog(self) -> None:
        self.num_watchdog_resets += 1

    def _fail(self, error: BaseException) -> None:
        raise error

    def _exit(self, reason: str) -> None:
        raise ProcessExit(reason)

    def check(self, *, until_s: int, end_offset: int = 100) -> None:
        """Once a second, with a partition at offset 42; `end_offset`: as of the last fetch."""

        async def scenario() -> None:
            while self.now_s <= until_s:
                status = WorkerStatus("worker-1", {0: PartitionStatus(42, end_offset)}, self.counters)
                await self.recovery.request_end_offsets([0], self.consumer)
                await self.recovery.check(status, self.consumer)
                self.now_s += 1.0

        asyncio.run(scenario())


def test_a_stalled_partition_is_sought_again() -> None:
    case = RecoveryCase()
    case.check(until_s=8)
    assert case.consumer.num_seeks == 1


def test_a_worker_exits_when_a_seek_did_not_help_and_kafka_responds() -> None:
    case = RecoveryCase()
    reason = "interactions/0@42: messages wait and Kafka responds, but none arrives, and seeking again did not help"
    with pytest.raises(ProcessExit, match=reason):
        case.check(until_s=60)
    assert case.now_s == 9.0


def test_a_client_that_stopped_fetching_is_noticed_by_kafkas_end_offset() -> None:
    case = RecoveryCase()
    with pytest.raises(ProcessExit):
        case.check(until_s=60, end_offset=42)
    assert case.now_s == 9.0


def test_a_worker_does_not_exit_while_kafka_is_unavailable() -> None:
    case = RecoveryCase()
    case.consumer.kafka_responds = False
    case.check(until_s=120)
    assert case.consumer.num_seeks == 5


def test_a_worker_that_never_received_a_message_does_not_exit() -> None:
    case = RecoveryCase()
    case.counters.num_messages = 0
    case.check(until_s=120)
    assert case.consumer.num_seeks == 5


def test_the_watchdog_is_reset_while_no_message_is_left() -> None:
    case = RecoveryCase()
    case.consumer.end_offset = 42
    case.check(until_s=60, end_offset=42)
    assert case.num_watchdog_resets == 61


def test_a_partition_is_not_sought_while_messages_are_applied() -> None:
    case = RecoveryCase()
    for _ in range(20):
        case.check(until_s=int(case.now_s) + 1)
        case.recovery.reset()
    assert case.consumer.num_seeks == 0


class WatchdogCase:
    """A watchdog with a manual clock."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.exits: list[str] = []
        self.watchdog = Watchdog(timeout_s=60.0, exit_worker=self.exits.append, now_s=lambda: self.time_s)


def test_the_watchdog_exits_a_worker_after_its_timeout() -> None:
    case = WatchdogCase()
    case.time_s = 61.0
    case.watchdog.check()
    assert case.exits == ["messages wait, but nothing was applied or tried for 61 s"]


def test_a_reset_restarts_the_watchdogs_timeout() -> None:
    case = WatchdogCase()
    case.time_s = 50.0
    case.watchdog.reset()
    case.time_s = 109.0
    case.watchdog.check()
    assert case.exits == []


def test_the_watchdog_runs_in_its_own_thread() -> None:
    exited = threading.Event()
    watchdog = Watchdog(timeout_s=0.01, exit_worker=lambda reason: exited.set())
    watchdog.start()
    assert exited.wait(10.0)
    watchdog.stop()


def status(*partitions: PartitionStatus) -> WorkerStatus:
    return WorkerStatus("w", dict(enumerate(partitions)))


def test_lag_counts_messages_from_the_next_offset_on() -> None:
    assert status(PartitionStatus(5, 9), PartitionStatus(7, 7), PartitionStatus(3, None)).lag == 4
