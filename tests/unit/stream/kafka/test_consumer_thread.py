"""The thread that talks to Kafka: connections that a dying broker resets, and questions that nobody answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiokafka.structs import TopicPartition
from faust.types import TP

from stream.kafka import consumer_thread
from stream.kafka.consumer_thread import LenientConsumerThread
from stream.kafka.faust_app import ResumingConsumer, ResumingTransport, make_app
from stream.kafka.settings import KafkaSettings, WorkerSettings
from stream.worker.offset_tracker import OffsetTracker
from stream.worker.resume import Resumer

HERE: Any = TP("interactions", 0)


class SilentClient:
    """A client whose questions are never answered: its coordinator is not found, its connection says nothing."""

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("interactions", 0)}

    async def commit(self, offsets: Any) -> None:
        await asyncio.Event().wait()

    async def beginning_offsets(self, partitions: Any) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
def _uvloop() -> Iterator[None]:
    """What makes the loops of a worker's process."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield
    asyncio.set_event_loop_policy(before)


@pytest.fixture
def thread(_uvloop: None, tmp_path: Path) -> Iterator[LenientConsumerThread]:
    """As the worker makes it, not started."""

    async def make() -> LenientConsumerThread:
        app = make_app(KafkaSettings(), WorkerSettings(), data_dir=tmp_path)
        resumer = Resumer("interactions", positions=OffsetTracker(), applied_offset=_nothing, fail=lambda error: None)
        app.transport = ResumingTransport(app, kafka=KafkaSettings(), resumer=resumer)
        loop = asyncio.get_running_loop()
        return ResumingConsumer(app.transport, _nothing, _nothing, _nothing, loop=loop)._thread

    made = asyncio.run(make())
    yield made
    made.thread_loop.close()


@pytest.fixture
def silent(thread: LenientConsumerThread, monkeypatch: pytest.MonkeyPatch) -> LenientConsumerThread:
    """The thread with a client that never answers, and without patience."""
    monkeypatch.setattr(consumer_thread, "COMMIT_S", 0.0)
    monkeypatch.setattr(consumer_thread, "BOUNDS_S", 0.0)
    monkeypatch.setattr(thread, "_consumer", SilentClient())
    return thread


async def _nothing(*args: Any) -> None:
    pass


@pytest.mark.parametrize("num_turns", range(6))
def test_writing_to_a_connection_that_was_just_reset_raises_nothing_but_what_the_client_expects(
    num_turns: int, thread: LenientConsumerThread
) -> None:
    """The client may write before it has heard of the reset, some turns of the loop later, and expects an OSError."""

    async def scenario() -> None:
        ours, brokers = socket.socketpair()
        _, writer = await asyncio.open_unix_connection(sock=ours)
        writer.write(b"a request that is never read")
        brokers.close()  # what was not read makes it a reset
        for _ in range(num_turns):
            await asyncio.sleep(0)
        try:
            writer.write(b"another")
        except OSError:
            pass
        finally:
            writer.close()

    thread.thread_loop.run_until_complete(scenario())


def test_a_commit_that_is_not_answered_holds_nothing_up(silent: LenientConsumerThread) -> None:
    assert silent.thread_loop.run_until_complete(silent._commit({HERE: 17})) is False


def test_bounds_that_are_not_answered_are_given_up_in_the_thread_itself(silent: LenientConsumerThread) -> None:
    with pytest.raises(TimeoutError):
        silent.thread_loop.run_until_complete(silent._bounds([HERE]))


def test_who_asks_a_thread_that_ends_waits_to_be_ended_as_well(thread: LenientConsumerThread) -> None:
    """A rebalance under way when the worker is told to stop would otherwise seek in a loop that is closed."""

    async def scenario() -> None:
        await thread.stop()
        asked = asyncio.ensure_future(thread.call_thread(_nothing))
        await asyncio.sleep(0)
        assert not asked.done()
        asked.cancel()

    thread._stopped.set()
    asyncio.run(scenario())
