"""Seeking the offsets behind the database's, and refusing offsets outside the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from core.errors import OffsetOutOfLog, StoreUnavailable, StreamUnavailable, TopicMissing
from stream.worker import offset_seeker
from stream.worker.log_identity import CHECK_EVERY_S, LogIdentity
from stream.worker.offset_seeker import OffsetSeeker, resume_offset
from stream.worker.offset_tracker import OffsetTracker


def test_the_next_offset_is_the_one_behind_the_databases() -> None:
    assert resume_offset("interactions", 0, applied=41, log_start=0, log_end=100) == 42


def test_a_partition_never_read_starts_at_the_log_start_offset() -> None:
    assert resume_offset("interactions", 0, applied=None, log_start=17, log_end=100) == 17


@pytest.mark.parametrize(("log_start", "log_end"), [(42, 100), (0, 42), (42, 42)])
def test_the_next_offset_may_be_the_log_start_or_end_offset(log_start: int, log_end: int) -> None:
    assert resume_offset("interactions", 0, applied=41, log_start=log_start, log_end=log_end) == 42


@pytest.mark.parametrize(
    ("log_start", "log_end", "problem"),
    [
        (45, 100, "but the log starts at 45, so 3 offsets were deleted before they were applied; restore"),
        (0, 41, "but the log ends at 41, so it is not the log that the database has read; restore"),
    ],
)
def test_an_offset_outside_the_log_is_refused_with_instructions(log_start: int, log_end: int, problem: str) -> None:
    with pytest.raises(OffsetOutOfLog, match="interactions/0: the database has applied up to offset 41") as caught:
        resume_offset("interactions", 0, applied=41, log_start=log_start, log_end=log_end)
    assert problem in str(caught.value)


class FakeConsumer:
    """Two assigned partitions, offsets 0 to 99."""

    def __init__(self) -> None:
        self.sought: dict[int, int] = {}
        self.errors: list[StreamUnavailable] = []
        self.topic_id: str | None = "topic-1"
        self.log_end = 100

    async def log_id(self) -> str | None:
        return self.topic_id

    def assigned_partitions(self) -> set[int]:
        return {0, 1}

    async def log_bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        if self.errors:
            raise self.errors.pop()
        return {partition: (0, self.log_end) for partition in partitions}

    async def seek_to(self, offsets: Mapping[int, int]) -> None:
        self.sought.update(offsets)


class Case:
    """A seeker over a database that is unavailable for the first `num_failures` reads."""

    def __init__(self, applied: Mapping[int, int | None], *, num_failures: int = 0, timeout_s: float = 5.0) -> None:
        self.applied = dict(applied)
        self.adopted: list[str] = []
        self.now_s = 0.0
        self.num_failures = num_failures
        self.failures: list[BaseException] = []
        self.num_watchdog_resets = 0
        self.offsets = OffsetTracker()
        self.consumer = FakeConsumer()
        self.seeker = OffsetSeeker(
            "interactions",
            offsets=self.offsets,
            log=LogIdentity("interactions", adopt=self.adopt, now_s=lambda: self.now_s),
            applied_offset=self.applied_offset,
            fail=self.failures.append,
            reset_watchdog=self.reset_watchdog,
            timeout_s=timeout_s,
        )
        self.seeker.on_partitions_assigned()

    def reset_watchdog(self) -> None:
        self.num_watchdog_resets += 1

    async def adopt(self, log_id: str) -> bool:
        is_other = bool(self.adopted) and self.adopted[-1] != log_id
        self.adopted.append(log_id)
        if is_other:
            self.applied = dict.fromkeys(self.applied)
        return is_other

    async def applied_offset(self, partition: int) -> int | None:
        if self.num_failures:
            self.num_failures -= 1
            raise StoreUnavailable("unavailable")
        return self.applied[partition]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offset_seeker, "RETRY_S", 0.0)


def test_every_assigned_partition_is_sought() -> None:
    case = Case({0: 9, 1: None})
    asyncio.run(case.seeker.seek_assigned(case.consumer))
    assert case.consumer.sought == {0: 10, 1: 0}
    assert (case.offsets.next_offset(0), case.offsets.next_offset(1)) == (10, 0)


def test_partitions_assigned_to_other_workers_are_not_sought() -> None:
    case = Case({0: 9})
    asyncio.run(case.seeker.seek(case.consumer, [0, 7]))
    assert case.consumer.sought == {0: 10}


def test_reading_the_databases_offset_is_retried() -> None:
    case = Case({0: 9, 1: 9}, num_failures=5)
    asyncio.run(case.seeker.seek_assigned(case.consumer))
    assert case.consumer.sought == {0: 10, 1: 10}


def test_the_watchdog_is_reset_while_kafka_is_away_not_without_a_topic() -> None:
    case = Case({0: 9, 1: 9})
    case.consumer.errors = [StreamUnavailable("unavailable")] * 3 + [TopicMissing("gone")] * 4
    asyncio.run(case.seeker.seek_assigned(case.consumer))
    assert case.consumer.sought == {0: 10, 1: 10}
    assert case.num_watchdog_resets == 3


def test_a_seek_continues_after_the_rebalance_while_the_database_is_away() -> None:
    case = Case({0: 9, 1: 9}, num_failures=20, timeout_s=0.0)

    async def rebalance() -> int | None:
        await case.seeker.seek_assigned(case.consumer)
        before = case.offsets.next_offset(0)
        while not case.consumer.sought:
            await asyncio.sleep(0)
        return before

    assert asyncio.run(rebalance()) is None
    assert case.consumer.sought == {0: 10, 1: 10}


def test_a_second_rebalance_cancels_the_seek_of_the_first() -> None:
    case = Case({0: 9, 1: 9}, num_failures=10**9, timeout_s=0.0)

    async def rebalance_twice() -> None:
        await case.seeker.seek_assigned(case.consumer)
        case.seeker.on_partitions_revoked()
        case.num_failures = 0
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(rebalance_twice())
    assert case.consumer.sought == {}


def test_an_offset_outside_the_log_fails_the_worker() -> None:
    case = Case({0: 9, 1: 500})
    asyncio.run(case.seeker.seek_assigned(case.consumer))
    (error,) = case.failures
    assert isinstance(error, OffsetOutOfLog)
    assert case.consumer.sought == {}


def test_another_worker_may_apply_new_messages_during_a_seek() -> None:
    class AppliedMeanwhile(Case):
        async def applied_offset(self, partition: int) -> int | None:
            self.consumer.log_end = 120
            return 119

    case = AppliedMeanwhile({0: 9, 1: 9})
    asyncio.run(case.seeker.seek_assigned(case.consumer))
    assert case.failures == []
    assert case.consumer.sought == {0: 120, 1: 120}


def follow(case: Case, *, topic_id: str | None, after_s: float) -> None:
    """Seek, then ask again when the topic has another id."""

    async def scenario() -> None:
        await case.seeker.seek_assigned(case.consumer)
        case.consumer.topic_id = topic_id
        case.now_s += after_s
        await case.seeker.follow_log(case.consumer)

    asyncio.run(scenario())


def test_a_topic_made_anew_is_read_from_its_start(caplog: pytest.LogCaptureFixture) -> None:
    case = Case({0: 9, 1: 9})
    follow(case, topic_id="topic-2", after_s=CHECK_EVERY_S)
    assert case.consumer.sought == {0: 0, 1: 0}
    assert case.adopted == ["topic-1", "topic-2"]
    assert "topic interactions was deleted and made anew: it is read from its start" in caplog.messages


def test_the_topics_id_is_asked_every_ten_seconds() -> None:
    case = Case({0: 9, 1: 9})
    follow(case, topic_id="topic-2", after_s=CHECK_EVERY_S - 1)
    assert case.consumer.sought == {0: 10, 1: 10}


def test_without_topic_ids_the_databases_offsets_hold() -> None:
    case = Case({0: 9, 1: 9})
    case.consumer.topic_id = None
    follow(case, topic_id="topic-2", after_s=CHECK_EVERY_S)
    assert (case.consumer.sought, case.adopted) == ({0: 10, 1: 10}, [])
