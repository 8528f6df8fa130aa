"""Batches of a few kilobytes that unpack to much more: dead letters, in bounded memory, and the stream goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiokafka import AIOKafkaProducer
from services.databases import Database
from services.kafka import Broker
from services.streaming import clicks, send, streaming

from stream.kafka.settings import StreamSettings

MIB = 2**20
VALUE = b" " * (9 * MIB)  # the test's broker takes messages of at most 10 MiB
NUM_VALUES = 8  # 72 MiB, packed into 2.6 KB
NUM_BOMBS = 10
MOST_BYTES = 600 * MIB  # of a worker, which has some 300 MiB when it starts


async def send_bombs(kafka: StreamSettings) -> None:
    """To the first partition."""
    size = (NUM_VALUES + 1) * len(VALUE)
    async with AIOKafkaProducer(
        bootstrap_servers=list(kafka.servers), compression_type="zstd", max_batch_size=size
    ) as producer:
        for _ in range(NUM_BOMBS):
            batch = producer.create_batch()
            for _ in range(NUM_VALUES):
                assert batch.append(key=None, value=VALUE, timestamp=None) is not None
            await (await producer.send_batch(batch, kafka.topic, partition=0))


def test_bombs_become_dead_letters_in_bounded_memory(broker: Broker, sqlite_database: Database, tmp_path: Path) -> None:
    with streaming(broker.address, sqlite_database.url, sqlite_database.store, tmp_path) as stream:
        send(stream.kafka, clicks(50))
        asyncio.run(send_bombs(stream.kafka))
        send(stream.kafka, clicks(50, first=50))
        stream.worker.start()
        stream.await_events(100, timeout_s=180.0)
        peak = stream.worker.peak_bytes()
        with stream.store.read() as read:
            letters = [letter for letter in read.dead_letters.newest() if letter.partition == 0]
    assert peak < MOST_BYTES, f"{peak / MIB:.0f} MiB"
    assert len(letters) == NUM_BOMBS
    assert all(b"cannot be unpacked: it unpacks to more than 64 MiB" in letter.payload for letter in letters)
