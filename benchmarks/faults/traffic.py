"""Traffic during faults: a steady stream of events into Kafka, clients of the APIs, and probes.

Clicks on catalogue items, each recorded in a ledger before it is sent and when it is acknowledged. Independent of
faults: a failed event is sent again with the same event id until it is acknowledged.
"""

from __future__ import annotations

import multiprocessing
import queue
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.faults.ledger import Ledger, event_key
from benchmarks.faults.processes import POLL_S, TIMEOUT_S, RecoveryTimeout
from core.clock import HOUR_MS
from core.errors import StreamUnavailable
from core.events.interactions import Interaction
from stream.kafka.producer import EventProducer, SendFuture
from stream.kafka.settings import StreamSettings
from stream.messages.partitioning import partition_of
from tidewise.client import event_json

CLIENT_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class EventStream:
    """Events for Kafka, a millisecond apart, so that no user has two with the same time."""

    kafka: StreamSettings
    rate: float
    num_users: int
    items: Sequence[str]
    ledger: Path


@contextmanager
def sending(stream: EventStream) -> Iterator[None]:
    """Send events from another process while the block runs; at its end all of them are acknowledged.

    The block begins once the first event is sent: no fault meets a sender that is not connected yet.
    """
    context = multiprocessing.get_context("spawn")
    started, stop = context.Event(), context.Event()
    sender = context.Process(target=_send_until, args=(stream, started, stop))
    sender.start()
    try:
        if not started.wait(TIMEOUT_S):
            msg = f"the sender sent nothing within {TIMEOUT_S:g} s"
            raise RecoveryTimeout(msg)
        yield
    finally:
        stop.set()
        sender.join(TIMEOUT_S)
        sender.terminate()
    if sender.exitcode != 0:
        msg = f"the sender exited with {sender.exitcode}, wanted 0: some events may not be acknowledged"
        raise RecoveryTimeout(msg)


def _send_until(stream: EventStream, started: threading.Event, stop: threading.Event) -> None:
    random_source, start_ms = random.Random(1), time.time_ns() // 1_000_000 - HOUR_MS
    sent_events: queue.Queue[tuple[Interaction, SendFuture] | None] = queue.Queue()
    with Ledger(stream.ledger) as ledger, EventProducer(stream.kafka, linger_ms=5) as producer:
        waiter = threading.Thread(target=_acknowledge, args=(sent_events, producer, ledger))
        waiter.start()
        started_s, number = time.monotonic(), 0
        while not stop.is_set():
            time.sleep(max(0.0, started_s + number / stream.rate - time.monotonic()))  # keeps the rate
            user_id, item_id = f"stream-{random_source.randrange(stream.num_users)}", random_source.choice(stream.items)
            event = Interaction(f"stream-{number}", user_id, item_id, "click", start_ms + number)
            ledger.sent(event.event_id, user_id, item_id, event.time_ms)
            sent_events.put((event, producer.send(event)))
            started.set()
            number += 1
        sent_events.put(None)
        waiter.join()


def _acknowledge(
    sent_events: queue.Queue[tuple[Interaction, SendFuture] | None], producer: EventProducer, ledger: Ledger
) -> None:
    while (sent := sent_events.get()) is not None:
        event, future = sent
        while True:
            try:
                future.result()
                break
            except StreamUnavailable:
                future = producer.send(event)
        ledger.acknowledged(event.event_id)


class ApiClients:
    """Threads that post clicks with wait=applied, and retry at the next API where there is no answer."""

    def __init__(self, urls: Sequence[str], *, num_clients: int, items: Sequence[str], folder: Path) -> None:
        self._urls = urls
        self._items = items
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self.ledgers = [folder / f"client-{number}.ledger" for number in range(num_clients)]
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(num_clients)]
        self.num_retries = 0

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Post while the block runs; at its end every click is acknowledged."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()
        if self._failures:
            raise self._failures[0]

    def _run(self, number: int) -> None:
        try:
            with Ledger(self.ledgers[number]) as ledger:
                self._post_clicks(number, ledger)
        except BaseException as error:  # raised by `posting`
            self._failures.append(error)

    def _post_clicks(self, number: int, ledger: Ledger) -> None:
        random_source, start_ms, count = random.Random(number), time.time_ns() // 1_000_000 - HOUR_MS, 0
        while not self._stop.wait(CLIENT_PAUSE_S):
            user_id, item_id = f"client-{number}-{random_source.randrange(5)}", random_source.choice(self._items)
            event = Interaction(f"client-{number}-{count}", user_id, item_id, "click", start_ms + count)
            ledger.sent(event.event_id, user_id, item_id, event.time_ms)
            result = self._post_until_accepted(event, api=count)
            ledger.acknowledged(event.event_id, result.get("user_seq"))
            count += 1

    def _post_until_accepted(self, event: Interaction, *, api: int) -> dict[str, Any]:
        deadline_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline_s:
            if (result := post(self._urls[api % len(self._urls)], event)) is not None:
                return result
            self.num_retries += 1
            api += 1
            time.sleep(POLL_S)
        msg = f"no API accepted {event.event_id} within {TIMEOUT_S:.0f} s"
        raise RecoveryTimeout(msg)


def post(url: str, event: Interaction) -> dict[str, Any] | None:
    """The result of a click posted with wait=applied; None where it is unknown, or the API is unavailable."""
    try:
        response = httpx.post(
            f"{url}/v1/interactions", params={"wait": "applied"}, json=event_json(event), timeout=20.0
        )
    except httpx.TransportError:
        return None
    if response.status_code in (httpx.codes.OK, httpx.codes.ACCEPTED):
        result: dict[str, Any] = response.json()["results"][0]
        return result
    if response.status_code < 500:
        msg = f"POST /v1/interactions answered {response.status_code}: {response.text}"
        raise RecoveryTimeout(msg)
    return None


class Probes:
    """Measures recovery: a click for each partition, and the time until all are in the database."""

    def __init__(self, kafka: StreamSettings, database_url: str, *, item_id: str, ledger: Ledger) -> None:
        self._producer = EventProducer(kafka)
        self._url = database_url
        self._item_id = item_id
        self._ledger = ledger
        users = _user_per_partition(self._producer.num_partitions)
        self._partitions, self._users = list(users), list(users.values())
        self._count = 0
        self._start_ms = time.time_ns() // 1_000_000 - HOUR_MS

    def close(self) -> None:
        """Disconnect from the broker."""
        self._producer.close()

    def recovery_s(self, since_s: float) -> float:
        """Send the clicks, and return the seconds from `since_s` (monotonic) until all are applied."""
        events = [self._event(user_id) for user_id in self._users]
        for event in events:
            self._ledger.sent(event.event_id, event.user_id, event.item_id, event.time_ms)
        sent = [self._producer.send(event) for event in events]
        self._await_applied([event_key(event.event_id) for event in events])
        recovered_s = time.monotonic() - since_s
        for event, future in zip(events, sent, strict=True):
            future.result()
            self._ledger.acknowledged(event.event_id)
        return recovered_s

    def _event(self, user_id: str) -> Interaction:
        self._count += 1
        return Interaction(f"probe-{self._count}", user_id, self._item_id, "click", self._start_ms + self._count)

    def _await_applied(self, keys: list[bytes]) -> None:
        deadline_s = time.monotonic() + TIMEOUT_S
        with psycopg.connect(self._url, autocommit=True) as connection:
            query = "SELECT event_key FROM interactions WHERE event_key = ANY(%s)"
            while len(rows := connection.execute(query, [keys]).fetchall()) < len(keys):
                if time.monotonic() > deadline_s:
                    missing = [number for number, key in zip(self._partitions, keys, strict=True) if (key,) not in rows]
                    msg = f"clicks in partitions {missing} were not applied within {TIMEOUT_S:.0f} s"
                    raise RecoveryTimeout(msg)
                time.sleep(POLL_S)


def with_long_timeout(kafka: StreamSettings) -> StreamSettings:
    """The same settings for a sender that outlives the faults."""
    return replace(kafka, request_timeout_s=90.0)


def _user_per_partition(num_partitions: int) -> dict[int, str]:
    users: dict[int, str] = {}
    number = 0
    while len(users) < num_partitions:
        user_id = f"probe-{number}"
        users.setdefault(partition_of(user_id, num_partitions=num_partitions), user_id)
        number += 1
    return users
