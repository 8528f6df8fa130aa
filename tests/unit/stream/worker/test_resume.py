"""Where a worker reads: behind the database's offset, or nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from core.errors import OffsetOutOfLog, StoreUnavailable, StreamUnavailable, TopicMissing
from stream.worker import resume as resume_module
from stream.worker.offset_tracker import OffsetTracker
from stream.worker.resume import Resumer, resume_offset


def test_reading_goes_on_behind_the_databases_offset() -> None:
    assert resume_offset("interactions", 0, applied=41, log_start=0, log_end=100) == 42


def test_a_partition_that_was_never_read_is_read_from_its_beginning() -> None:
    assert resume_offset("interactions", 0, applied=None, log_start=17, log_end=100) == 17


@pytest.mark.parametrize(("log_start", "log_end"), [(42, 100), (0, 42), (42, 42)])
def test_the_next_offset_may_be_the_first_or_the_last_of_the_log(log_start: int, log_end: int) -> None:
    assert resume_offset("interactions", 0, applied=41, log_start=log_start, log_end=log_end) == 42


@pytest.mark.parametrize(
    ("log_start", "log_end", "found"),
    [
        (45, 100, "but the log begins at 45, so 3 offsets were deleted before they were applied; restore"),
        (0, 41, "but the log ends at 41, so it is not the log that the database has read; restore"),
    ],
)
def test_an_offset_outside_the_log_is_refused_with_what_to_do(log_start: int, log_end: int, found: str) -> None:
    with pytest.raises(OffsetOutOfLog, match="interactions/0: the database has applied up to offset 41") as caught:
        resume_offset("interactions", 0, applied=41, log_start=log_start, log_end=log_end)
    assert found in str(caught.value)


class FakeLog:
    """Two assigned partitions, offsets 0 to 99."""

    def __init__(self) -> None:
        self.sought: dict[int, int] = {}
        self.refusals: list[StreamUnavailable] = []

    def assigned(self) -> set[int]:
        return {0, 1}

    async def bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        if self.refusals:
            raise self.refusals.pop()
        return {partition: (0, 100) for partition in partitions}

    async def read_from(self, offsets: Mapping[int, int]) -> None:
        self.sought.update(offsets)


class Case:
    """A resumer over a database that is away for the first `num_failures` questions."""

    def __init__(self, applied: Mapping[int, int | None], *, num_failures: int = 0, patience_s: float = 5.0) -> None:
        self.applied = applied
        self.num_failures = num_failures
        self.failures: list[BaseException] = []
        self.num_signs = 0
        self.positions = OffsetTracker()
        self.log = FakeLog()
        self.resumer = Resumer(
            "interactions",
            positions=self.positions,
            applied_offset=self.ask,
            fail=self.failures.append,
            alive=self.live,
            patience_s=patience_s,
        )
        self.resumer.assigned()

    def live(self) -> None:
        self.num_signs += 1

    async def ask(self, partition: int) -> int | None:
        if self.num_failures:
            self.num_failures -= 1
            raise StoreUnavailable("away")
        return self.applied[partition]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume_module, "RETRY_S", 0.0)


def test_every_assigned_partition_is_sought_in_log_and_positions_alike() -> None:
    case = Case({0: 9, 1: None})
    asyncio.run(case.resumer.resume(case.log))
    assert case.log.sought == {0: 10, 1: 0}
    assert (case.positions.next_offset(0), case.positions.next_offset(1)) == (10, 0)


def test_partitions_that_belong_to_others_by_now_are_left_alone() -> None:
    case = Case({0: 9})
    asyncio.run(case.resumer.again(case.log, [0, 7]))
    assert case.log.sought == {0: 10}


def test_the_database_is_asked_again_until_it_answers() -> None:
    case = Case({0: 9, 1: 9}, num_failures=5)
    asyncio.run(case.resumer.resume(case.log))
    assert case.log.sought == {0: 10, 1: 10}


def test_waiting_for_a_kafka_that_is_away_is_a_sign_of_life_but_not_waiting_for_a_topic_that_nobody_makes() -> None:
    case = Case({0: 9, 1: 9})
    case.log.refusals = [StreamUnavailable("away")] * 3 + [TopicMissing("gone")] * 4
    asyncio.run(case.resumer.resume(case.log))
    assert case.log.sought == {0: 10, 1: 10}
    assert case.num_signs == 3


def test_a_rebalance_does_not_wait_for_the_database_but_nothing_counts_before_it_answers() -> None:
    case = Case({0: 9, 1: 9}, num_failures=20, patience_s=0.0)

    async def rebalance() -> int | None:
        await case.resumer.resume(case.log)
        before = case.positions.next_offset(0)
        while not case.log.sought:
            await asyncio.sleep(0)
        return before

    assert asyncio.run(rebalance()) is None
    assert case.log.sought == {0: 10, 1: 10}


def test_a_second_rebalance_ends_the_seek_of_the_first() -> None:
    case = Case({0: 9, 1: 9}, num_failures=10**9, patience_s=0.0)

    async def rebalance_twice() -> None:
        await case.resumer.resume(case.log)
        case.resumer.revoked()
        case.num_failures = 0
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(rebalance_twice())
    assert case.log.sought == {}


def test_an_offset_outside_the_log_fails_the_worker() -> None:
    case = Case({0: 9, 1: 500})
    asyncio.run(case.resumer.resume(case.log))
    (error,) = case.failures
    assert isinstance(error, OffsetOutOfLog)
    assert case.log.sought == {}


def test_a_gap_in_mid_flow_is_legal_while_the_log_still_begins_before_it() -> None:
    case = Case({})
    asyncio.run(case.resumer.check(case.log, 0, missing_from=50))
    with pytest.raises(OffsetOutOfLog):
        asyncio.run(case.resumer.check(case.log, 0, missing_from=101))
