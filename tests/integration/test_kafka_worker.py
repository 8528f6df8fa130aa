"""A worker process on a real Kafka: every event counts exactly once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from services.kafka import Broker
from services.streaming import SHAPE, Streaming, assert_counted_once, clicks, send, streaming
from services.workers import WorkerProcess, num_events

from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import StreamSource
from stream.kafka.admin import MAX_MESSAGE_BYTES
from stream.kafka.producer import EventProducer
from stream.kafka.settings import StreamSettings
from stream.messages.codec import encode
from stream.messages.partitioning import partition_of
from stream.replay import Rate, Replay


@pytest.fixture
def stopped(broker: Broker, sqlite_database: Any, tmp_path: Path) -> Iterator[Streaming]:
    """Kafka and the database, without a running worker."""
    with streaming(broker.address, sqlite_database.url, sqlite_database.store, tmp_path) as stream:
        yield stream


@pytest.fixture
def case(stopped: Streaming) -> Streaming:
    """A running worker."""
    stopped.worker.start()
    return stopped


def test_single_and_grouped_events_count_once(case: Streaming) -> None:
    single, grouped = clicks(500), clicks(1_000, first=500)
    send(case.kafka, single)
    send(case.kafka, grouped, group=50)
    case.await_events(1_500)
    assert_counted_once(case.store, [*single, *grouped])
    assert case.worker.end(by=signal.SIGTERM) == 0
    applied = case.offsets()
    assert committed_offsets(case.kafka, applied) == {partition: offset + 1 for partition, offset in applied.items()}


def test_every_event_counts_once_when_the_worker_is_killed(broker: Broker, database: Any, tmp_path: Path) -> None:
    events = clicks(3_000)
    with streaming(broker.address, database.url, database.store, tmp_path) as stream:
        stream.worker.start()
        with EventProducer(stream.kafka, linger_ms=1) as producer:
            sender = threading.Thread(target=Replay(producer, pace=Rate(1_000.0)).run, args=(events,))
            sender.start()
            for threshold in (300, 1_500):
                stream.await_events(threshold)
                stream.worker.end(by=signal.SIGKILL)
                stream.worker.start()
            sender.join()
        stream.await_events(3_000)
        assert_counted_once(stream.store, events)


def test_a_session_that_brokers_refuse_ends_the_worker_with_the_reason(
    stopped: Streaming, sqlite_database: Any, tmp_path: Path
) -> None:
    worker = WorkerProcess(stopped.kafka, sqlite_database.url, tmp_path, name="hasty", session_timeout_s=0.5)
    worker.start()  # the brokers of tests allow 1 s
    assert worker.wait() == 1
    error = worker.log.splitlines()[-1]
    assert error.startswith("core.errors.InvalidSettings: kafka.session_timeout_s: the brokers refuse 0.5 s")
    assert "group.min.session.timeout.ms" in error


def test_compressed_messages_are_read(case: Streaming) -> None:
    events = clicks(300)
    for index, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
        asyncio.run(send_compressed(case.kafka, events[index * 75 : (index + 1) * 75], codec))
    case.await_events(300)
    assert_counted_once(case.store, events)


async def send_compressed(kafka: StreamSettings, events: list[Interaction], codec: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=list(kafka.servers), compression_type=codec, linger_ms=50)
    await producer.start()
    for event in events:
        await producer.send(kafka.topic, key=event.user_id.encode(), value=encode(event))
    await producer.stop()


def test_poison_messages_are_dead_lettered_and_the_stream_continues(case: Streaming) -> None:
    partition = partition_of("user-1", num_partitions=2)
    other = next(event for event in clicks(40) if partition_of(event.user_id, num_partitions=2) != partition)
    good = [event for event in clicks(10_050, users=1, first=0)]
    for event in good:
        event.user_id = "user-1"
    array = b"[" + b",".join(orjson.dumps(_json(event)) for event in good[50:]) + b"]"
    producer = KafkaProducer(bootstrap_servers=list(case.kafka.servers), max_request_size=MAX_MESSAGE_BYTES)
    poison_messages: list[tuple[bytes | None, bytes | None]] = [
        (b"user-1", b"\xff\x00"),
        (b"user-1", None),
        (b"user-1", b"x" * (1 << 20)),
        (None, orjson.dumps(_json(other))),
        (b"user-1", orjson.dumps([_json(other), {"user_id": "user-1"}])),
        (b"user-1", b"[]"),
        (b"user-1", b"[" + b",".join([b"0"] * 10_001) + b"]"),
    ]
    for key, value in poison_messages:
        producer.send(case.kafka.topic, key=key, value=value, partition=partition)
    producer.send(case.kafka.topic, key=None, value=array, partition=partition)
    for event in good[:50]:
        producer.send(case.kafka.topic, key=None, value=orjson.dumps(_json(event)), partition=partition)
    producer.flush()
    producer.close()
    case.await_events(10_050)
    with case.store.read() as read:
        dead_letters = sorted(read.dead_letters.newest(), key=lambda row: (row.offset, row.reason))
    assert [(row.offset, row.reason.split(":")[0]) for row in dead_letters] == [
        (0, "value"),
        (1, "value"),
        (2, "value"),
        (3, "user_id"),
        (4, "item_id"),
        (4, "user_id"),
        (5, "value"),
        (6, "value"),
    ]
    assert [len(row.payload) for row in dead_letters[:3]] == [2, 0, 1 << 20]
    assert {(row.source, row.partition) for row in dead_letters} == {(case.kafka.topic, partition)}
    published = KafkaConsumer(
        case.kafka.dead_letter_topic, bootstrap_servers=list(case.kafka.servers), auto_offset_reset="earliest"
    )
    offsets = [dict(record.headers)["offset"] for _, record in zip(range(8), published, strict=False)]
    published.close()
    assert offsets == [b"0", b"1", b"2", b"3", b"4", b"4", b"5", b"6"]


def _json(event: Interaction) -> dict[str, object]:
    return {"event_id": event.event_id, "user_id": event.user_id, "item_id": event.item_id, "time": event.time_ms}


@pytest.mark.parametrize("committed", ["ahead", "behind"])
def test_a_worker_starts_at_the_databases_offset_not_the_committed_one(stopped: Streaming, committed: str) -> None:
    events = clicks(200, users=1)
    partition = partition_of("user-0", num_partitions=2)
    send(stopped.kafka, events)
    ingestor = Ingestor(stopped.store, types=EventTypes(), shape=SHAPE)
    ingestor.ingest(events[:100], StreamSource(stopped.kafka.topic, partition, list(range(100)), 0, 99))
    commit_offset(stopped.kafka, partition, 200 if committed == "ahead" else 0)
    stopped.worker.start()
    stopped.await_events(200)
    assert_counted_once(stopped.store, events)
    assert stopped.offsets() == {partition: 199}


def test_an_offset_outside_the_log_stops_the_worker_with_instructions(stopped: Streaming) -> None:
    send(stopped.kafka, clicks(10))
    Ingestor(stopped.store, types=EventTypes(), shape=SHAPE).ingest(
        [], StreamSource(stopped.kafka.topic, 0, [], 0, 999)
    )
    stopped.worker.start()
    assert stopped.worker.wait() != 0
    assert (
        f"{stopped.kafka.topic}/0: the database has applied up to offset 999, but the log ends at" in stopped.worker.log
    )
    assert "`tidewise offsets set --partition 0 --to earliest` (docs/operations.md)" in stopped.worker.log
    assert num_events(stopped.store) == 0


def committed_offsets(kafka: StreamSettings, partitions: Iterable[int]) -> dict[int, int | None]:
    """The group's committed offsets, as Kafka's tools show them."""
    consumer = KafkaConsumer(bootstrap_servers=list(kafka.servers), group_id=kafka.group, enable_auto_commit=False)
    offsets = {partition: consumer.committed(TopicPartition(kafka.topic, partition)) for partition in partitions}
    consumer.close()
    return offsets


def commit_offset(kafka: StreamSettings, partition: int, offset: int) -> None:
    consumer = KafkaConsumer(bootstrap_servers=list(kafka.servers), group_id=kafka.group, enable_auto_commit=False)
    tp = TopicPartition(kafka.topic, partition)
    consumer.assign([tp])
    consumer.commit({tp: OffsetAndMetadata(offset, "", -1)})
    consumer.close()
