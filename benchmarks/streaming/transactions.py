"""How soon one event is stored after idle seconds: sent in a Kafka transaction of its own, and plainly.

    python -m benchmarks.streaming.transactions --events 12 --idle 7

A transaction ends with a marker that holds no event, so a worker could take it for lag, or wait behind it. Each event
is timed from the commit, or from the broker's acknowledgement, to its row in PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
from aiokafka import AIOKafkaProducer

from benchmarks.report import percentiles, publish
from benchmarks.streaming.servers import Servers, kafka_of, servers
from core.events.interactions import Interaction
from stream.kafka.admin import ensure_topics
from stream.messages.codec import encode
from stream.messages.partitioning import partition_of
from tidewise.bootstrap import open_system
from tidewise.processes.children import running

USER = "user"
TOPIC, POLL_S, TIMEOUT_S = "transactions", 0.002, 120.0


class TimedEvents:
    """Sends one event at a time to a worker, and waits until it is stored. `transactional`: in a transaction each."""

    def __init__(self, at: Servers, database: psycopg.Connection[tuple[int]], *, transactional: bool) -> None:
        name = secrets.token_hex(8) if transactional else None
        self._producer = AIOKafkaProducer(bootstrap_servers=at.kafka, linger_ms=0, transactional_id=name)
        self._database, self._transactional = database, transactional
        self._partition = partition_of(USER, num_partitions=at.partitions)

    async def __aenter__(self) -> TimedEvents:
        await self._producer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._producer.stop()

    async def seconds(self) -> float:
        """From the commit, or the acknowledgement, until it is stored."""
        before = self._num_events()
        event = Interaction(secrets.token_hex(8), USER, "item", "click", time.time_ns() // 1_000_000)
        if self._transactional:
            await self._producer.begin_transaction()
        await self._producer.send_and_wait(TOPIC, encode(event), partition=self._partition)
        if self._transactional:
            await self._producer.commit_transaction()
        since_s = time.perf_counter()
        async with asyncio.timeout(TIMEOUT_S):
            while self._num_events() == before:
                await asyncio.sleep(POLL_S)
        return time.perf_counter() - since_s

    def _num_events(self) -> int:
        row = self._database.execute("SELECT count(*) FROM interactions").fetchone()
        return int(row[0]) if row else 0


async def measure(at: Servers, *, num_events: int, idle_s: float) -> dict[str, object]:
    """Milliseconds of both kinds in alternation, after an event that waits for the worker's start."""
    took_s: dict[str, list[float]] = {"in a transaction": [], "plain": []}
    with psycopg.connect(at.postgres, autocommit=True) as database:
        async with (
            TimedEvents(at, database, transactional=True) as in_transactions,
            TimedEvents(at, database, transactional=False) as plain,
        ):
            await plain.seconds()
            for _ in range(num_events):
                for name, events in zip(took_s, (in_transactions, plain), strict=True):
                    await asyncio.sleep(idle_s)
                    took_s[name].append(await events.seconds())
    return {"seconds without an event before each": idle_s, **{name: percentiles(own) for name, own in took_s.items()}}


def main() -> None:
    """Start the servers and a worker, measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=12, help="of each kind")
    parser.add_argument("--idle", type=float, default=7.0, help="seconds before each")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # PostgreSQL may run under another account
        at = stack.enter_context(servers(folder))
        ensure_topics(kafka_of(at, folder, TOPIC))
        with open_system(at.settings(folder, TOPIC)):
            pass  # makes the tables
        stack.enter_context(running(["worker", *at.arguments(folder, TOPIC)], log=folder / "worker.log"))
        figures = asyncio.run(measure(at, num_events=options.events, idle_s=options.idle))
    publish("an event after a time without any, until it is stored", figures)


if __name__ == "__main__":
    main()
