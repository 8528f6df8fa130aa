"""Traffic through a system that is being broken: a steady flow into Kafka, clients of the APIs, and probes.

All of it is clicks on known items, each written into a ledger before it leaves and when it is acknowledged. Knows
nothing about faults: whatever fails is sent again under the same event id until somebody acknowledges it.
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
from benchmarks.faults.processes import PATIENCE_S, POLL_S, Overdue
from core.clock import HOUR_MS
from core.errors import StreamUnavailable
from core.interactions import Interaction
from stream.kafka.producer import EventProducer, SendFuture
from stream.kafka.settings import KafkaSettings
from stream.messages.partitioning import partition_of
from tidewise.client import event_json

CLIENT_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Flow:
    """What flows into Kafka. Event times are a millisecond apart, so that no user has two of the same time."""

    kafka: KafkaSettings
    rate: float
    num_users: int
    items: Sequence[str]
    ledger: Path


@contextmanager
def flowing(flow: Flow) -> Iterator[None]:
    """Events flow from a process of its own; at the end of the block all of them have been acknowledged."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    sender = context.Process(target=_send_until, args=(flow, stop))
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join(PATIENCE_S)
        sender.terminate()
    if sender.exitcode != 0:
        msg = f"the flow of events ended with {sender.exitcode}, wanted 0: not all are known to be acknowledged"
        raise Overdue(msg)


def _send_until(flow: Flow, stop: threading.Event) -> None:
    source, start_ms = random.Random(1), time.time_ns() // 1_000_000 - HOUR_MS
    handed: queue.Queue[tuple[Interaction, SendFuture] | None] = queue.Queue()
    with Ledger(flow.ledger) as ledger, EventProducer(flow.kafka, linger_ms=5) as producer:
        waiter = threading.Thread(target=_acknowledge, args=(handed, producer, ledger))
        waiter.start()
        started_s, number = time.monotonic(), 0
        while not stop.is_set():
            time.sleep(max(0.0, started_s + number / flow.rate - time.monotonic()))  # the pace
            user_id, item_id = f"flow-{source.randrange(flow.num_users)}", source.choice(flow.items)
            event = Interaction(f"flow-{number}", user_id, item_id, "click", start_ms + number)
            ledger.sent(event.event_id, user_id, item_id, event.time_ms)
            handed.put((event, producer.send(event)))
            number += 1
        handed.put(None)
        waiter.join()


def _acknowledge(
    handed: queue.Queue[tuple[Interaction, SendFuture] | None], producer: EventProducer, ledger: Ledger
) -> None:
    while (sent := handed.get()) is not None:
        event, pending = sent
        while True:
            try:
                pending.result()
                break
            except StreamUnavailable:
                pending = producer.send(event)
        ledger.acknowledged(event.event_id)


class ApiClients:
    """Threads that post clicks with wait=applied, and post again, to the next API, what was not answered."""

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
        """They post while the block runs; at its end everything posted was acknowledged."""
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
        except BaseException as error:  # told to whoever waits for the thread
            self._failures.append(error)

    def _post_clicks(self, number: int, ledger: Ledger) -> None:
        source, start_ms, count = random.Random(number), time.time_ns() // 1_000_000 - HOUR_MS, 0
        while not self._stop.wait(CLIENT_PAUSE_S):
            user_id, item_id = f"client-{number}-{source.randrange(5)}", source.choice(self._items)
            event = Interaction(f"client-{number}-{count}", user_id, item_id, "click", start_ms + count)
            ledger.sent(event.event_id, user_id, item_id, event.time_ms)
            result = self._post_until_taken(event, at=count)
            ledger.acknowledged(event.event_id, result.get("user_seq"))
            count += 1

    def _post_until_taken(self, event: Interaction, *, at: int) -> dict[str, Any]:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            if (result := post(self._urls[at % len(self._urls)], event)) is not None:
                return result
            self.num_retries += 1
            at += 1
            time.sleep(POLL_S)
        msg = f"no API took {event.event_id} within {PATIENCE_S:.0f} s"
        raise Overdue(msg)


def post(url: str, event: Interaction) -> dict[str, Any] | None:
    """What became of a click that was posted with wait=applied; None where that is unknown, or it was refused."""
    try:
        reply = httpx.post(f"{url}/v1/interactions", params={"wait": "applied"}, json=event_json(event), timeout=20.0)
    except httpx.TransportError:
        return None
    if reply.status_code in (httpx.codes.OK, httpx.codes.ACCEPTED):
        result: dict[str, Any] = reply.json()["results"][0]
        return result
    if reply.status_code < 500:
        msg = f"POST /v1/interactions answered {reply.status_code}: {reply.text}"
        raise Overdue(msg)
    return None


class Probes:
    """One click for each partition, and how long until all are in the database."""

    def __init__(self, kafka: KafkaSettings, database_url: str, *, item_id: str, ledger: Ledger) -> None:
        self._producer = EventProducer(kafka)
        self._url = database_url
        self._item_id = item_id
        self._ledger = ledger
        found = _one_user_each(self._producer.num_partitions)
        self._partitions, self._users = list(found), list(found.values())
        self._count = 0
        self._start_ms = time.time_ns() // 1_000_000 - HOUR_MS

    def close(self) -> None:
        """Let go of the broker."""
        self._producer.close()

    def recovery_s(self, since_s: float) -> float:
        """Send the clicks now; seconds from `since_s` (monotonic) until all are applied."""
        events = [self._event(user_id) for user_id in self._users]
        for event in events:
            self._ledger.sent(event.event_id, event.user_id, event.item_id, event.time_ms)
        sent = [self._producer.send(event) for event in events]
        self._await_applied([event_key(event.event_id) for event in events])
        recovered_s = time.monotonic() - since_s
        for event, pending in zip(events, sent, strict=True):
            pending.result()
            self._ledger.acknowledged(event.event_id)
        return recovered_s

    def _event(self, user_id: str) -> Interaction:
        self._count += 1
        return Interaction(f"probe-{self._count}", user_id, self._item_id, "click", self._start_ms + self._count)

    def _await_applied(self, keys: list[bytes]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        with psycopg.connect(self._url, autocommit=True) as connection:
            query = "SELECT event_key FROM interactions WHERE event_key = ANY(%s)"
            while len(found := connection.execute(query, [keys]).fetchall()) < len(keys):
                if time.monotonic() > deadline_s:
                    missing = [self._partitions[place] for place, key in enumerate(keys) if (key,) not in found]
                    msg = f"clicks in partitions {missing} were not applied within {PATIENCE_S:.0f} s"
                    raise Overdue(msg)
                time.sleep(POLL_S)


def patient(kafka: KafkaSettings) -> KafkaSettings:
    """The same Kafka for a sender that outlives its faults."""
    return replace(kafka, request_timeout_s=90.0)


def _one_user_each(num_partitions: int) -> dict[int, str]:
    found: dict[int, str] = {}
    number = 0
    while len(found) < num_partitions:
        user_id = f"probe-{number}"
        found.setdefault(partition_of(user_id, num_partitions=num_partitions), user_id)
        number += 1
    return found
