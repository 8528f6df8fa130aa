"""For tests of workers: topics with a database and worker processes, events, and the check that each counts once."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.kafka import fresh_settings
from services.workers import WorkerProcess, num_events, wait_until

from core.events.history import WindowShape
from core.events.interactions import Interaction
from core.ports.store import Store
from stream.kafka.admin import delete_topics, ensure_topics, partition_statuses
from stream.kafka.producer import EventProducer
from stream.kafka.settings import KafkaSecurity, StreamSettings
from stream.replay import Replay

TIME_MS = 1_700_000_000_000
SHAPE = WindowShape(8, 4)  # as in worker_process.py
SENDER = Path(__file__).with_name("sender_process.py")


class Streaming:
    """Fresh topics with a database, and worker processes named worker-1, worker-2, ..."""

    def __init__(self, kafka: StreamSettings, url: str, store: Store, folder: Path, *, num_workers: int = 1) -> None:
        self.kafka = kafka
        self.store = store
        names = [f"worker-{number + 1}" for number in range(num_workers)]
        self.workers = [WorkerProcess(kafka, url, folder, name=name) for name in names]

    @property
    def worker(self) -> WorkerProcess:
        """The first worker."""
        return self.workers[0]

    def await_events(self, count: int, *, timeout_s: float = 30.0) -> None:
        """Wait until so many events are in the database."""
        wait_until(lambda: num_events(self.store) >= count, self.worker, timeout_s=timeout_s)

    def offsets(self) -> dict[int, int]:
        """The applied offset of each partition."""
        with self.store.read() as read:
            return read.offsets.applied(self.kafka.topic)

    def lags(self) -> list[int]:
        """By partition, as `tidewise offsets show` computes them from the database and the log."""
        return [status.lag for status in partition_statuses(self.kafka, self.offsets()).values()]

    def await_no_lag(self) -> None:
        """Wait until nothing is left to apply. Kafka is asked after each step alone: it takes a new client."""
        seen: dict[int, int] | None = None

        def none_is_left() -> bool:
            nonlocal seen
            before, seen = seen, self.offsets()
            return seen != before and not any(self.lags())

        wait_until(none_is_left, self.worker)


@contextmanager
def streaming(
    address: str,
    url: str,
    store: Store,
    folder: Path,
    *,
    num_workers: int = 1,
    security: KafkaSecurity | None = None,
    num_replicas: int = 1,
) -> Iterator[Streaming]:
    """Fresh topics and workers that are not started; afterwards workers are killed and topics deleted."""
    kafka = fresh_settings(address, security=security, num_replicas=num_replicas)
    ensure_topics(kafka)
    stream = Streaming(kafka, url, store, folder, num_workers=num_workers)
    try:
        yield stream
    finally:
        for worker in stream.workers:
            if worker.runs():
                worker.end(by=signal.SIGKILL)
        delete_topics(kafka)


def clicks(count: int, *, users: int = 40, first: int = 0) -> list[Interaction]:
    return [
        Interaction(f"e{n}", f"user-{n % users}", f"item-{n % 7}", "click", TIME_MS + 10 * n)
        for n in range(first, first + count)
    ]


def send(kafka: StreamSettings, events: Sequence[Interaction], *, group: int = 1) -> None:
    with EventProducer(kafka, linger_ms=5) as producer:
        Replay(producer, group=group).run(events)


@contextmanager
def sending(stream: Streaming, count: int, *, rate: int = 1_000) -> Iterator[None]:
    """Send clicks while the block runs; at its end Kafka has acknowledged all of them."""
    settings = json.dumps(dataclasses.asdict(stream.kafka))
    command = [
        sys.executable,
        "-P",
        str(Path(__file__).with_name("sender_process.py")),
        settings,
        str(count),
        str(rate),
    ]
    with subprocess.Popen(command) as sender:
        yield
        assert sender.wait(90.0) == 0


def assert_counted_once(store: Store, events: Sequence[Interaction]) -> None:
    """Every event is stored once, and windows equal those computed from the events by plain Python."""
    with store.read() as read:
        stored = Counter(row.event_key for rows in read.events.pages() for row in rows)
        assert stored == Counter(event.event_key for event in events)
        names = {key: item.item.item_id for key, item in read.items.by_key(range(1, 100)).items()}
        for user_id in {event.user_id for event in events}:
            history = sorted((event.time_ms, event.item_id) for event in events if event.user_id == user_id)
            state = read.users.find(user_id)
            assert state is not None
            window = [names[key] for key in state.window.history.items.tolist()]
            assert window == [item_id for _, item_id in history[SHAPE.start(len(history)) :]]
