"""Producers with transactions: what is committed counts once, what is aborted never, and markers are no lag."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from signal import SIGTERM

import pytest
from aiokafka import AIOKafkaProducer
from services.databases import Database
from services.kafka import Broker
from services.streaming import Streaming, assert_counted_once, clicks, streaming
from services.workers import SOUGHT, num_events

from core.events.interactions import Interaction
from stream.messages.codec import encode
from stream.messages.partitioning import partition_of

ONE_USER = 1  # all events in one partition
SOON_S = 5.0  # after the commit that follows an idle time, on a busy machine; alone it takes a few hundredths


@pytest.fixture
def stream(broker: Broker, sqlite_database: Database, tmp_path: Path) -> Iterator[Streaming]:
    with streaming(broker.address, sqlite_database.url, sqlite_database.store, tmp_path) as stream:
        yield stream


class TransactionalProducer:
    """A producer of a transaction at a time, as of Flink or Kafka Streams."""

    def __init__(self, stream: Streaming) -> None:
        self._kafka = stream.kafka
        self._producer = AIOKafkaProducer(
            bootstrap_servers=list(stream.kafka.servers), transactional_id=f"test-{uuid.uuid4().hex}", linger_ms=0
        )

    async def __aenter__(self) -> TransactionalProducer:
        await self._producer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._producer.stop()

    async def commit(self, events: Sequence[Interaction]) -> None:
        await self.begin(events)
        await self._producer.commit_transaction()

    async def begin(self, events: Sequence[Interaction]) -> None:
        """Send events in a transaction that stays open."""
        await self._producer.begin_transaction()
        for event in events:
            partition = partition_of(event.user_id, num_partitions=self._kafka.partitions)
            await self._producer.send_and_wait(self._kafka.topic, encode(event), partition=partition)

    async def abort(self) -> None:
        await self._producer.abort_transaction()

    async def commit_begun(self) -> None:
        await self._producer.commit_transaction()


def produce(stream: Streaming, scenario: Callable[[TransactionalProducer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with TransactionalProducer(stream) as producer:
            await scenario(producer)

    asyncio.run(run())


def test_events_of_aborted_transactions_are_never_counted(stream: Streaming) -> None:
    first, aborted, last = clicks(5), clicks(5, first=5), clicks(3, first=10)

    async def scenario(producer: TransactionalProducer) -> None:
        await producer.commit(first)
        await producer.begin(aborted)
        await producer.abort()
        await producer.commit(last)

    produce(stream, scenario)
    stream.worker.start()
    stream.await_events(8)
    stream.await_no_lag()
    assert_counted_once(stream.store, [*first, *last])


def test_events_of_an_open_transaction_count_once_it_commits(stream: Streaming) -> None:
    waiting, others = clicks(3, users=ONE_USER), clicks(40, first=100)
    own_partition = partition_of("user-0", num_partitions=2)
    unblocked = [event for event in others if partition_of(event.user_id, num_partitions=2) != own_partition]
    stream.worker.start()

    async def scenario(producer: TransactionalProducer) -> None:
        await producer.begin(waiting)
        async with TransactionalProducer(stream) as other:
            await other.commit(others)
        await asyncio.to_thread(stream.await_events, len(unblocked))
        assert num_events(stream.store) == len(unblocked)
        await asyncio.to_thread(stream.await_no_lag)
        await producer.commit_begun()

    produce(stream, scenario)
    stream.await_events(43)
    stream.await_no_lag()
    assert_counted_once(stream.store, [*waiting, *others])


def test_a_transaction_per_event_is_applied_soon_without_seeking_again(stream: Streaming) -> None:
    events = clicks(6, users=ONE_USER)
    durations_s: list[float] = []
    stream.worker.start()

    async def scenario(producer: TransactionalProducer) -> None:
        for count, event in enumerate(events, start=1):
            await producer.commit([event])
            committed_s = time.monotonic()
            await asyncio.to_thread(stream.await_events, count)
            durations_s.append(time.monotonic() - committed_s)
            await asyncio.to_thread(stream.await_no_lag)

    produce(stream, scenario)
    assert max(durations_s[1:]) < SOON_S, durations_s  # the first waits for the worker's start
    assert "again" not in stream.worker.log
    assert stream.worker.log.count(SOUGHT) == 1
    assert_counted_once(stream.store, events)


def test_a_worker_restarted_behind_a_marker_goes_on(stream: Streaming) -> None:
    stream.worker.start()

    async def commit(count: int, first: int) -> None:
        async with TransactionalProducer(stream) as producer:
            await producer.commit(clicks(count, users=ONE_USER, first=first))

    asyncio.run(commit(3, 0))
    stream.await_events(3)
    stream.await_no_lag()
    stream.worker.end(by=SIGTERM)
    asyncio.run(commit(2, 3))
    stream.worker.start()
    stream.await_events(5)
    assert_counted_once(stream.store, clicks(5, users=ONE_USER))
