"""From an event to the changed answer, while others flow: for `benchmarks.streaming`.

Seen in two ways: by a client of Kafka that asks the API again and again, and by one that posts with `wait=applied` and
asks once.
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
from core.interactions import Interaction
from stream.kafka.admin import ensure_topics
from stream.kafka.producer import EventProducer
from stream.kafka.settings import KafkaSettings
from stream.replay import Rate, Replay
from tidewise.client import Client
from tidewise.processes.children import free_port, running, wait_ready

PATIENCE_S = 300.0
WARM_UP_CLICKS = 200
ASK_AGAIN_S = 0.005  # asking without a pause would load the machine more than the events do


def freshness(
    at: Servers, folder: Path, others: list[Interaction], *, rate: float, items: list[str]
) -> dict[str, object]:
    """Milliseconds from sending an event to holding a changed answer, while others flow at a rate."""
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
        # A producer of its own, in a process of its own: the one that is timed must not queue behind it.
        flow = multiprocessing.get_context("spawn").Process(target=_flow, args=(kafka, others, rate))
        flow.start()
        seen: list[float] = []
        posted: list[float] = []
        for number in count():
            if not flow.is_alive():
                break
            user_id, item_id = f"probe-{number % 50}", items[number % len(items)]
            seen.append(_time_click(client, producer, user_id, item_id))
            posted.append(_time_post(client, user_id, item_id))
        flow.join()
    return {
        "offered events/s": rate,
        "seen by asking again": percentiles(seen),
        "posted, wait=applied": percentiles(posted),
    }


def _warm_up(at: Servers, client: Client, producer: EventProducer, items: list[str]) -> None:
    """Clicks until the worker's child stores vectors, and then some: nothing that is measured may still be starting."""
    with psycopg.connect(at.postgres, autocommit=True) as connection:
        before = _vector_seqs(connection)
        deadline = time.perf_counter() + PATIENCE_S
        while _vector_seqs(connection) == before:
            if time.perf_counter() > deadline:
                msg = "the worker's child stored no vector; see fresh-worker.log"
                raise RuntimeError(msg)
            _time_click(client, producer, "warm-up", items[0])
    for number in range(WARM_UP_CLICKS):
        _time_click(client, producer, f"warm-up-{number % 50}", items[number % len(items)])


def _flow(kafka: KafkaSettings, events: list[Interaction], rate: float) -> None:
    with EventProducer(kafka, linger_ms=5) as producer:
        Replay(producer, pace=Rate(rate)).run(events)


def _time_click(client: Client, producer: EventProducer, user_id: str, item_id: str) -> float:
    before = client.recommend(user_id)["user_seq"] or 0
    event = Interaction(secrets.token_hex(8), user_id, item_id, "click", time.time_ns() // 1_000_000)
    start_s = time.perf_counter()
    producer.send(event).result()
    while (client.recommend(user_id)["user_seq"] or 0) <= before:
        time.sleep(ASK_AGAIN_S)
        if time.perf_counter() - start_s > PATIENCE_S:
            msg = "a click never arrived; see fresh-worker.log"
            raise RuntimeError(msg)
    return time.perf_counter() - start_s


def _time_post(client: Client, user_id: str, item_id: str) -> float:
    """The way of a client that wants to read its own writes: post, be told that it is applied, ask once."""
    event = {"event_id": secrets.token_hex(8), "user_id": user_id, "item_id": item_id, "type": "click"}
    start_s = time.perf_counter()
    seq = client.send([event], wait=True)[0]["user_seq"]
    assert client.recommend(user_id)["user_seq"] >= seq, "the answer does not know the event"
    return time.perf_counter() - start_s


def _vector_seqs(connection: psycopg.Connection[tuple[int]]) -> int:
    """A number that rises with every vector that is stored."""
    row = connection.execute("SELECT coalesce(sum(user_seq), 0) FROM vectors").fetchone()
    return int(row[0]) if row else 0
