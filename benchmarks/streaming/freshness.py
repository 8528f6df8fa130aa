"""The time from an event to the changed answer, during other traffic. For `benchmarks.streaming`.

Measured by a Kafka producer that polls the API, and by an HTTP client that posts with `wait=applied` and requests once.
"""

from __future__ import annotations

import multiprocessing
import secrets
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import psycopg

from benchmarks.report import percentiles
from benchmarks.streaming.servers import Servers, kafka_of
from core.events.interactions import Interaction
from stream.kafka.admin import ensure_topics
from stream.kafka.producer import EventProducer
from stream.kafka.settings import StreamSettings
from stream.replay import Rate, Replay
from tidewise.client import Client
from tidewise.processes.children import free_port, running, wait_ready

TIMEOUT_S = 300.0
WARM_UP_CLICKS = 200
POLL_S = 0.005  # polling without a pause would load the machine more than the events do


def freshness(
    at: Servers, folder: Path, others: list[Interaction], *, rate: float, items: list[str]
) -> dict[str, object]:
    """Milliseconds from sending an event to the changed answer, while `others` are sent at a rate."""
    topic, port = "fresh", free_port(0)
    kafka = kafka_of(at, folder, topic)
    ensure_topics(kafka)
    with ExitStack() as stack:
        arguments = at.arguments(folder, topic)
        stack.enter_context(running(["worker", *arguments], log=folder / "fresh-worker.log"))
        api_log = folder / "fresh-api.log"
        api = stack.enter_context(running(["serve", *arguments, "--port", str(port)], log=api_log))
        wait_ready(api, f"http://127.0.0.1:{port}", log=api_log)
        client = stack.enter_context(Client(f"http://127.0.0.1:{port}"))
        producer = stack.enter_context(EventProducer(kafka))
        _warm_up(at, client, producer, items)
        # In another process: the timed producer must not queue behind this one.
        sender = multiprocessing.get_context("spawn").Process(target=_send, args=(kafka, others, rate))
        sender.start()
        polled: list[float] = []
        posted: list[float] = []
        for number in count():
            if not sender.is_alive():
                break
            user_id, item_id = f"probe-{number % 50}", items[number % len(items)]
            polled.append(_time_click(client, producer, user_id, item_id))
            posted.append(_time_post(client, user_id, item_id))
        sender.join()
    return {
        "offered events/s": rate,
        "sent to Kafka, polled": percentiles(polled),
        "posted, wait=applied": percentiles(posted),
    }


def _warm_up(at: Servers, client: Client, producer: EventProducer, items: list[str]) -> None:
    """Click until the worker's encoder process stores vectors, and some more, so that no process is still starting."""
    with psycopg.connect(at.postgres, autocommit=True) as connection:
        before = _vector_seqs(connection)
        deadline = time.perf_counter() + TIMEOUT_S
        while _vector_seqs(connection) == before:
            if time.perf_counter() > deadline:
                msg = "wanted a vector from the worker's encoder process, got none; see fresh-worker.log"
                raise RuntimeError(msg)
            _time_click(client, producer, "warm-up", items[0])
    for number in range(WARM_UP_CLICKS):
        _time_click(client, producer, f"warm-up-{number % 50}", items[number % len(items)])


def _send(kafka: StreamSettings, events: list[Interaction], rate: float) -> None:
    with EventProducer(kafka, linger_ms=5) as producer:
        Replay(producer, pace=Rate(rate)).run(events)


def _time_click(client: Client, producer: EventProducer, user_id: str, item_id: str) -> float:
    before = client.recommend(user_id)["user_seq"] or 0
    event = Interaction(secrets.token_hex(8), user_id, item_id, "click", time.time_ns() // 1_000_000)
    start_s = time.perf_counter()
    producer.send(event).result()
    while (client.recommend(user_id)["user_seq"] or 0) <= before:
        time.sleep(POLL_S)
        if time.perf_counter() - start_s > TIMEOUT_S:
            msg = "wanted a click in the API's answer, it did not arrive; see fresh-worker.log"
            raise RuntimeError(msg)
    return time.perf_counter() - start_s


def _time_post(client: Client, user_id: str, item_id: str) -> float:
    """As a client that reads its own writes: post with wait=applied, then request once."""
    event = {"event_id": secrets.token_hex(8), "user_id": user_id, "item_id": item_id, "type": "click"}
    start_s = time.perf_counter()
    seq = client.send([event], wait=True)[0]["user_seq"]
    assert client.recommend(user_id)["user_seq"] >= seq, "the answer does not include the event"
    return time.perf_counter() - start_s


def _vector_seqs(connection: psycopg.Connection[tuple[int]]) -> int:
    """A number that grows with every stored vector."""
    row = connection.execute("SELECT coalesce(sum(user_seq), 0) FROM vectors").fetchone()
    return int(row[0]) if row else 0
