"""The consumer in Faust: overlapping rebalances, commits, and brokers that reset connections or do not respond.

Real Faust code; only Kafka is simulated.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from aiokafka.structs import TopicPartition
from faust.transport.consumer import Fetcher
from faust.types import TP

from stream.kafka import consumer as consumer_module
from stream.kafka.consumer import (
    BOUNDS_TIMEOUT_S,
    DatabaseOffsetConsumer,
    DatabaseOffsetTransport,
    ResilientConsumerThread,
)
from stream.kafka.faust_app import make_app
from stream.kafka.settings import StreamSettings, WorkerSettings
from stream.worker.log_identity import LogIdentity
from stream.worker.offset_seeker import OffsetSeeker
from stream.worker.offset_tracker import OffsetTracker

PARTITION = TP("interactions", 0)
APPLIED = 99


class FakeThread:
    """In place of the client thread: one partition with offsets 0 to 199, fetched as queued in `fetches`."""

    beacon = None

    def __init__(self, consumer: DatabaseOffsetConsumer) -> None:
        self.consumer = consumer
        self.position = 0
        self.responds = True
        self.committed: dict[TP, int] = {}
        self.fetches: asyncio.Queue[list[int]] = asyncio.Queue()

    async def getmany(self, active: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:
        return {PARTITION: [SimpleNamespace(offset=offset) for offset in await self.fetches.get()]}

    async def seek_wait(self, offsets: Mapping[TP, int]) -> None:
        for offset in offsets.values():
            self.position = offset

    async def log_bounds(self, partitions: list[TP]) -> Mapping[int, tuple[int, int]]:
        if not self.responds:
            raise TimeoutError
        return {tp.partition: (0, 200) for tp in partitions}

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        self.committed.update(offsets)
        return True

    def highwater(self, partition: TP) -> int:
        return 200

    def assignment(self) -> set[TP]:
        return {PARTITION}


class FakeThreadConsumer(DatabaseOffsetConsumer):
    def _new_consumer_thread(self) -> Any:
        self.thread = FakeThread(self)
        return self.thread

    async def log_id(self) -> str | None:
        return None


async def _adopt(log_id: str) -> bool:
    return False


class Case:
    """A consumer of one partition, of which the database has applied offsets up to 99."""

    def __init__(self, folder: Path) -> None:
        self.offsets = OffsetTracker()
        self.failures: list[BaseException] = []
        self.database_is_back, self.has_room = asyncio.Event(), asyncio.Event()
        self.database_is_back.set()
        self.has_room.set()
        self.seeker = OffsetSeeker(
            "interactions",
            offsets=self.offsets,
            log=LogIdentity("interactions", adopt=_adopt),
            applied_offset=self._applied_offset,
            fail=self.failures.append,
        )
        self.app = make_app(StreamSettings(), WorkerSettings(), data_dir=folder)
        self.app.transport = DatabaseOffsetTransport(
            self.app, kafka=StreamSettings(), listener=self.seeker, receive=self._apply
        )
        self.accepted: list[int] = []
        self.app.consumer = self.consumer = FakeThreadConsumer(
            self.app.transport, _no_callback, _no_callback, _no_callback, loop=asyncio.get_running_loop()
        )
        self.thread = self.consumer.thread

    async def _applied_offset(self, partition: int) -> int | None:
        await self.database_is_back.wait()
        return APPLIED

    async def _apply(self, partition: int, records: Sequence[Any]) -> None:
        """As the worker does, once there is room."""
        await self.has_room.wait()
        check = self.offsets.check(partition, [record.offset for record in records])
        self.accepted += [records[index].offset for index in check.accepted]
        if check.seek:
            await self.seeker.seek(self.consumer, [partition])

    async def rebalance(self) -> None:
        """Kafka revokes the partition and assigns it to this worker again."""
        await self.consumer.on_partitions_revoked({PARTITION})
        await self.consumer.on_partitions_assigned({PARTITION}, 0)

    async def recover(self) -> None:
        """As Faust does after an assignment, in a task that the next assignment cancels."""
        self.consumer.resume_partitions({PARTITION})
        await self.consumer.perform_seek()
        self.app.flow_control.resume()
        self.consumer.resume_flow()

    async def drain(self, *fetches: list[int]) -> None:
        """Let Faust hand over fetched messages."""
        fetcher = Fetcher(self.app)
        await fetcher.start()
        for fetch in (*fetches, []):
            self.thread.fetches.put_nowait(fetch)
        while not self.thread.fetches.empty():
            await asyncio.sleep(0)
        await fetcher.stop()


async def _no_callback(*args: Any) -> None:
    pass


def test_messages_fetched_before_a_seek_do_not_hide_those_after_it(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        case = Case(tmp_path)
        await case.rebalance()
        await case.recover()
        stale, sought = list(range(150, 160)), list(range(100, 170))
        await case.drain(stale, sought)
        assert not case.failures
        return case.accepted

    assert asyncio.run(scenario()) == list(range(100, 170))


def test_what_waits_for_room_is_left_at_a_rebalance_and_fetched_again(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        case = Case(tmp_path)
        await case.rebalance()
        await case.recover()
        case.has_room.clear()
        fetcher = Fetcher(case.app)
        await fetcher.start()
        case.thread.fetches.put_nowait([100, 101, 102])
        while not case.thread.fetches.empty():
            await asyncio.sleep(0)
        await case.rebalance()
        case.has_room.set()
        await case.recover()
        await fetcher.stop()
        assert case.accepted == []
        await case.drain([100, 101, 102, 103])
        return case.accepted

    assert asyncio.run(scenario()) == [100, 101, 102, 103]


def test_a_superseded_assignment_does_not_resume_the_flow(tmp_path: Path) -> None:
    async def scenario() -> list[bool]:
        case = Case(tmp_path)
        case.database_is_back.clear()
        await case.rebalance()
        superseded = asyncio.ensure_future(case.recover())
        await asyncio.sleep(0)
        await case.consumer.on_partitions_revoked({PARTITION})
        for _ in range(20):
            await asyncio.sleep(0)
        flows = [superseded.done(), case.consumer.flow_active]
        await case.consumer.on_partitions_assigned({PARTITION}, 0)
        case.consumer.resume_flow()  # if the superseded seek times out
        await case.consumer.on_partitions_revoked({PARTITION})
        await case.consumer.on_partitions_assigned({PARTITION}, 0)
        flows.append(case.consumer.flow_active)
        case.database_is_back.set()
        await case.recover()
        await superseded
        assert case.thread.position == case.offsets.next_offset(0) == APPLIED + 1
        return [*flows, case.consumer.flow_active]

    assert asyncio.run(scenario()) == [False, False, False, True]


def test_the_committed_offset_follows_the_newest_applied_message(tmp_path: Path) -> None:
    async def scenario() -> list[dict[TP, int]]:
        case = Case(tmp_path)
        for offset in (100, 101, 107):
            case.consumer.mark_applied(0, offset)
        await case.consumer.commit()
        first, case.thread.committed = case.thread.committed, {}
        await case.consumer.commit()
        return [first, case.thread.committed]

    assert asyncio.run(scenario()) == [{PARTITION: 108}, {}]


def test_log_bounds_are_requested_on_a_new_connection_after_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[StreamSettings] = []

    def log_bounds(settings: StreamSettings) -> dict[int, tuple[int, int]]:
        requests.append(settings)
        return {0: (5, 200), 1: (0, 7)}

    monkeypatch.setattr(consumer_module, "log_bounds", log_bounds)

    async def scenario() -> list[Mapping[int, tuple[int, int]]]:
        case = Case(tmp_path)
        by_client = await case.consumer.log_bounds([0])
        case.thread.responds = False
        return [by_client, await case.consumer.log_bounds([0])]

    by_client, reconnected = asyncio.run(scenario())
    assert (by_client[0], reconnected[0]) == ((0, 200), (5, 200))
    assert [settings.request_timeout_s for settings in requests] == [BOUNDS_TIMEOUT_S]


class RealThreadConsumer(DatabaseOffsetConsumer):
    def _new_consumer_thread(self) -> ResilientConsumerThread:
        self.thread = super()._new_consumer_thread()
        return self.thread


class SilentClient:
    """A client that never gets a response: no coordinator, a silent connection."""

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("interactions", 0)}

    async def commit(self, offsets: Any) -> None:
        await asyncio.Event().wait()

    async def beginning_offsets(self, partitions: Any) -> Any:
        await asyncio.Event().wait()

    async def end_offsets(self, partitions: Any) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
def _uvloop() -> Iterator[None]:
    """The event loop policy of a worker process."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield
    asyncio.set_event_loop_policy(before)


@pytest.fixture
def thread(_uvloop: None, tmp_path: Path) -> Iterator[ResilientConsumerThread]:
    """The worker's client thread, not started."""

    async def make() -> ResilientConsumerThread:
        app = make_app(StreamSettings(), WorkerSettings(), data_dir=tmp_path)
        seeker = OffsetSeeker(
            "interactions",
            offsets=OffsetTracker(),
            log=LogIdentity("interactions", adopt=_adopt),
            applied_offset=_nothing,
            fail=lambda error: None,
        )
        app.transport = DatabaseOffsetTransport(app, kafka=StreamSettings(), listener=seeker, receive=_nothing)
        consumer = RealThreadConsumer(app.transport, _nothing, _nothing, _nothing, loop=asyncio.get_running_loop())
        return consumer.thread

    thread = asyncio.run(make())
    yield thread
    thread.thread_loop.close()


@pytest.fixture
def silent_thread(thread: ResilientConsumerThread, monkeypatch: pytest.MonkeyPatch) -> ResilientConsumerThread:
    """The thread with a client that never gets a response, with timeouts of 0 s."""
    monkeypatch.setattr(consumer_module, "COMMIT_TIMEOUT_S", 0.0)
    monkeypatch.setattr(consumer_module, "BOUNDS_TIMEOUT_S", 0.0)
    monkeypatch.setattr(thread, "_consumer", SilentClient())  # Faust creates it only in a started thread
    monkeypatch.setattr(thread, "call_thread", _call)  # in the test's thread
    return thread


async def _nothing(*args: Any) -> None:
    pass


async def _call(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return await call(*args)


@pytest.mark.parametrize("num_iterations", range(6))
def test_writing_to_a_reset_connection_raises_nothing_but_an_oserror(
    num_iterations: int, thread: ResilientConsumerThread
) -> None:
    """The client may write some loop iterations before it notices the reset, and expects an OSError."""

    async def scenario() -> None:
        client, broker = socket.socketpair()
        _, writer = await asyncio.open_unix_connection(sock=client)
        writer.write(b"a request that is never read")
        broker.close()  # unread data makes it a reset
        for _ in range(num_iterations):
            await asyncio.sleep(0)
        try:
            with contextlib.suppress(OSError):
                writer.write(b"another request")
        finally:
            writer.close()

    thread.thread_loop.run_until_complete(scenario())


def test_a_commit_without_a_response_times_out(silent_thread: ResilientConsumerThread) -> None:
    assert silent_thread.thread_loop.run_until_complete(silent_thread.commit({PARTITION: 17})) is False


def test_log_bounds_without_a_response_time_out_in_the_thread(silent_thread: ResilientConsumerThread) -> None:
    with pytest.raises(TimeoutError):
        silent_thread.thread_loop.run_until_complete(silent_thread.log_bounds([PARTITION]))


def test_a_call_to_a_stopping_thread_waits_until_it_is_cancelled(
    thread: ResilientConsumerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance in progress when the worker stops would otherwise seek in a closed loop."""

    async def scenario() -> None:
        await thread.stop()
        call = asyncio.ensure_future(thread.call_thread(_nothing))
        await asyncio.sleep(0)
        assert not call.done()
        call.cancel()

    monkeypatch.setattr(ResilientConsumerThread, "should_stop", True)  # the fixture does not start it
    asyncio.run(scenario())
