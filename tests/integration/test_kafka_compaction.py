"""A compacted topic: gaps where Kafka has deleted delay nothing and are warned of; tombstones erase no user."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from services.databases import Database
from services.kafka import Broker
from services.streaming import clicks, send, streaming
from services.workers import wait_until

from stream.kafka.admin import connected_admin, partition_statuses
from stream.kafka.settings import StreamSettings
from stream.messages.partitioning import partition_of

CLEANER = {
    "log.cleaner.backoff.ms": "500",  # looks for segments to compact so often
    "log.cleaner.dedupe.buffer.size": str(4 * 2**20),  # a test's broker has too little memory for the default
}
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.001",
    "segment.ms": "50",  # a message that comes later begins a new segment; older ones may be compacted
}
SELDOM = {"log.cleaner.backoff.ms": "15000"}  # the default: other tests go on with this broker
NUM_USERS = 40


@contextmanager
def compacting(kafka: StreamSettings) -> Iterator[None]:
    """Have Kafka compact the topic while the block runs."""
    with connected_admin(kafka) as admin:
        [node] = admin.describe_cluster()["brokers"]

        def configure(values: dict[str, str]) -> None:
            admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, str(node["broker_id"]), values)])

        configure(CLEANER)
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kafka.topic, COMPACTED)])
        try:
            yield
        finally:
            configure(CLEANER | SELDOM)


def num_messages(kafka: StreamSettings) -> int:
    """How many messages the topic still has."""
    partitions = [TopicPartition(kafka.topic, number) for number in range(kafka.partitions)]
    consumer = KafkaConsumer(bootstrap_servers=list(kafka.servers), enable_auto_commit=False)
    try:
        ends, count = consumer.end_offsets(partitions), 0
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            count += sum(map(len, consumer.poll(timeout_ms=500).values()))
        return count
    finally:
        consumer.close()


def send_tombstones(kafka: StreamSettings, users: Iterable[str]) -> None:
    """Send a null value for each user, which has Kafka delete all earlier messages of that key."""
    producer = KafkaProducer(bootstrap_servers=list(kafka.servers))
    try:
        for user_id in users:
            partition = partition_of(user_id, num_partitions=kafka.partitions)
            producer.send(kafka.topic, key=user_id.encode(), value=None, partition=partition)
        producer.flush()
    finally:
        producer.close()


def test_a_compacted_topic_is_applied_to_its_end(broker: Broker, sqlite_database: Database, tmp_path: Path) -> None:
    with (
        streaming(broker.address, sqlite_database.url, sqlite_database.store, tmp_path) as stream,
        compacting(stream.kafka),
    ):
        sent = clicks(10 * NUM_USERS, users=NUM_USERS)
        send(stream.kafka, sent)
        deleted = clicks(5, users=10**6, first=10**6 - 5)
        send(stream.kafka, deleted)
        send_tombstones(stream.kafka, (event.user_id for event in deleted))
        deadline_s = time.monotonic() + 60
        while (left := num_messages(stream.kafka)) > len(sent) // 2:
            assert time.monotonic() < deadline_s, f"{left} of {len(sent)} messages are left"
            more = clicks(NUM_USERS, users=NUM_USERS, first=len(sent))  # they close the segments of the others
            send(stream.kafka, more)
            sent += more
        stream.worker.start()
        ends = {number: status.end_offset for number, status in partition_statuses(stream.kafka, {}).items()}
        wait_until(lambda: {n: offset + 1 for n, offset in stream.offsets().items()} == ends, stream.worker)
        assert all(status.lag == 0 for status in partition_statuses(stream.kafka, stream.offsets()).values())
        with stream.store.read() as read:
            stored = Counter(row.event_key for rows in read.events.pages() for row in rows)
            dead_letters = read.dead_letters.newest()
        assert set(stored.values()) == {1}
        newest = {event.user_id: event.event_key for event in sent}
        assert stored.keys() >= set(newest.values()), "compaction keeps the newest of each key"
        assert len(stored) <= left - len(deleted)
        assert len(dead_letters) == len(deleted)
        assert all("tombstones are not supported" in row.reason for row in dead_letters)
        assert f"topic {stream.kafka.topic} is compacted" in stream.worker.log
