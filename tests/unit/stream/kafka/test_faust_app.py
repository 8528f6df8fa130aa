"""Our consumer inside Faust where rebalances overlap: real Faust code over a log that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.kafka import faust_app
from stream.kafka.consumer_thread import BOUNDS_S
from stream.kafka.faust_app import ResumingConsumer, ResumingTransport, make_app
from stream.kafka.settings import KafkaSettings, WorkerSettings
from stream.worker.offset_tracker import OffsetTracker
from stream.worker.resume import Resumer

HERE = TP("interactions", 0)
APPLIED = 99


class PlayedThread:
    """In place of the thread that talks to Kafka: one partition with offsets 0 to 199, fetched as told."""

    beacon = None

    def __init__(self, consumer: ResumingConsumer) -> None:
        self.consumer = consumer
        self.position = 0
        self.answers = True
        self.fetches: asyncio.Queue[list[int]] = asyncio.Queue()

    async def getmany(self, active: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:
        return {HERE: [SimpleNamespace(offset=offset) for offset in await self.fetches.get()]}

    async def seek_wait(self, offsets: Mapping[TP, int]) -> None:
        for tp, offset in offsets.items():
            self.position = offset
            self.consumer._read_offset[tp] = offset  # as Faust's thread does

    async def bounds(self, partitions: list[TP]) -> Mapping[int, tuple[int, int]]:
        if not self.answers:
            raise TimeoutError
        return {tp.partition: (0, 200) for tp in partitions}

    def highwater(self, partition: TP) -> int:
        return 200

    def assignment(self) -> set[TP]:
        return {HERE}


class PlayedConsumer(ResumingConsumer):
    def _new_consumer_thread(self) -> Any:
        return PlayedThread(self)

    def _to_message(self, tp: TP, record: Any) -> Any:
        return SimpleNamespace(tp=tp, offset=record.offset, topic=tp.topic, key=None, value=None)


class Case:
    """A consumer of one partition, of which the database has applied offsets up to 99."""

    def __init__(self, folder: Path) -> None:
        self.positions = OffsetTracker()
        self.failures: list[BaseException] = []
        self.database_is_back = asyncio.Event()
        self.database_is_back.set()
        self.resumer = Resumer(
            "interactions", positions=self.positions, applied_offset=self._applied_offset, fail=self.failures.append
        )
        self.app = make_app(KafkaSettings(), WorkerSettings(), data_dir=folder)
        self.app.transport = ResumingTransport(self.app, kafka=KafkaSettings(), resumer=self.resumer)
        self.accepted: list[int] = []
        self.app.consumer = self.consumer = PlayedConsumer(
            self.app.transport, self._settle, _no_callback, _no_callback, loop=asyncio.get_running_loop()
        )
        self.thread: Any = self.consumer._thread

    async def _applied_offset(self, partition: int) -> int | None:
        await self.database_is_back.wait()
        return APPLIED

    async def _settle(self, message: Any) -> None:
        """As the worker does, message by message."""
        admission = self.positions.admit(0, [message.offset])
        if admission.accepted:
            self.accepted.append(message.offset)
        if admission.seek:
            await self.resumer.again(self.consumer, [0])

    async def rebalance(self) -> None:
        """Kafka gives the partition to this worker, which had it before."""
        await self.consumer.on_partitions_revoked({HERE})
        await self.consumer.on_partitions_assigned({HERE}, 0)

    async def recover(self) -> None:
        """What Faust does after an assignment, in a task of its own that the next assignment ends."""
        self.consumer.resume_partitions({HERE})
        await self.consumer.perform_seek()
        self.app.flow_control.resume()
        self.consumer.resume_flow()

    async def drain(self, *fetches: list[int]) -> None:
        """Hand over what was fetched."""
        fetcher = SimpleNamespace(_stopped=asyncio.Event())
        task = asyncio.ensure_future(self.consumer._drain_messages(fetcher))  # type: ignore[arg-type]
        for fetch in (*fetches, []):
            self.thread.fetches.put_nowait(fetch)
        while not (self.thread.fetches.empty() or task.done()):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _no_callback(*args: Any) -> None:
    pass


def test_what_was_fetched_before_a_seek_and_handed_over_after_it_hides_nothing(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        case = Case(tmp_path)
        await case.rebalance()
        await case.recover()
        stale, sought = list(range(150, 160)), list(range(100, 170))
        await case.drain(stale, sought)
        assert not case.failures
        return case.accepted

    assert asyncio.run(scenario()) == list(range(100, 170))


def test_an_overtaken_assignment_lets_nothing_flow_before_the_newest_was_sought(tmp_path: Path) -> None:
    async def scenario() -> list[bool]:
        case = Case(tmp_path)
        case.database_is_back.clear()
        await case.rebalance()
        overtaken = asyncio.ensure_future(case.recover())
        await asyncio.sleep(0)
        await case.consumer.on_partitions_revoked({HERE})
        for _ in range(20):
            await asyncio.sleep(0)
        flows = [overtaken.done(), case.consumer.flow_active]
        await case.consumer.on_partitions_assigned({HERE}, 0)
        case.consumer.resume_flow()  # if the overtaken one gives up waiting
        await case.consumer.on_partitions_revoked({HERE})
        await case.consumer.on_partitions_assigned({HERE}, 0)
        flows.append(case.consumer.flow_active)
        case.database_is_back.set()
        await case.recover()
        await overtaken
        assert case.thread.position == case.positions.next_offset(0) == APPLIED + 1
        return [*flows, case.consumer.flow_active]

    assert asyncio.run(scenario()) == [False, False, False, True]


def test_group_offsets_follow_the_newest_acknowledged_message(tmp_path: Path) -> None:
    async def scenario() -> list[int | None]:
        consumer = Case(tmp_path).consumer
        consumer._acked[HERE] = [100, 101, 107]
        return [consumer._new_offset(HERE), consumer._new_offset(HERE)]

    assert asyncio.run(scenario()) == [108, None]


def test_bounds_that_the_client_does_not_get_in_time_are_asked_on_a_new_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[KafkaSettings] = []

    def log_bounds(settings: KafkaSettings) -> dict[int, tuple[int, int]]:
        asked.append(settings)
        return {0: (5, 200), 1: (0, 7)}

    monkeypatch.setattr(faust_app, "log_bounds", log_bounds)

    async def scenario() -> list[Mapping[int, tuple[int, int]]]:
        case = Case(tmp_path)
        by_client = await case.consumer.bounds([0])
        case.thread.answers = False
        return [by_client, await case.consumer.bounds([0])]

    by_client, anew = asyncio.run(scenario())
    assert (by_client[0], anew[0]) == ((0, 200), (5, 200))
    assert [settings.request_timeout_s for settings in asked] == [BOUNDS_S]
