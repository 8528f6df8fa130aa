"""End to end over a real Kafka and PostgreSQL, everything on this machine: how fast windows and vectors follow.

    python -m benchmarks.streaming            starts both servers itself (Java 17, Maven once, PostgreSQL's programs)

Each part drains a topic that was filled before: a worker whose use case does nothing (the ceiling of Faust), then
`tidewise worker` on one event per message, then on grouped messages. Events are uniform over the users, the worst case:
hardly two events of one transaction share a window. Last, events flow at a steady rate and single ones are timed from
sending to the changed answer of the API, after all processes are ready and have answered clicks for a while.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import psycopg
from rich.console import Console

from benchmarks.report import percentiles, publish
from core.clock import DAY_MS
from core.interactions import Interaction
from scripts.local_postgres import PostgresServer, find_binaries
from stream.producer import EventProducer
from stream.replay import Rate, Replay
from stream.settings import KafkaSettings
from stream.topics import ensure_topics
from tidewise.client import Client
from tidewise.demo import make_shop, prepare
from tidewise.processes import free_port, running, wait_ready
from tidewise.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
POLL_S = 0.02
PATIENCE_S = 300.0
WARM_UP_CLICKS = 200
ASK_AGAIN_S = 0.005  # asking without a pause would load the machine more than the events do
START_MS = 1_780_000_000_000


@dataclass(frozen=True)
class Servers:
    """A Kafka and a PostgreSQL of our own."""

    kafka: str
    postgres: str
    partitions: int = 4

    def settings(self, folder: Path, topic: str) -> Settings:
        """The settings of processes on these servers, with a topic and a consumer group for each part."""
        url = self.postgres.replace("postgresql://", "postgresql+psycopg://")
        overrides = {
            "data.folder": str(folder),
            "database.url": url,
            "kafka.bootstrap": self.kafka,
            "kafka.partitions": self.partitions,
            "train.epochs": 1,  # an untrained model costs as much as a good one
        }
        return load_settings(overrides={**overrides, "kafka.topic": topic, "kafka.group": topic}, environment={})

    def arguments(self, folder: Path, topic: str) -> list[str]:
        """The same for a command line."""
        url = self.postgres.replace("postgresql://", "postgresql+psycopg://")
        given = {"database.url": url, "kafka.bootstrap": self.kafka, "kafka.topic": topic, "kafka.group": topic}
        given["kafka.partitions"] = str(self.partitions)
        options = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
        return ["--data", str(folder), *options]


@contextmanager
def servers(folder: Path, *, partitions: int = 4) -> Iterator[Servers]:
    """Both servers, started and stopped."""
    port = free_port(0)
    environment = {**os.environ, "KAFKA_PORT": str(port), "KAFKA_CONTROLLER_PORT": str(free_port(0))}
    environment["KAFKA_INSTANCE"] = str(folder / "kafka")
    command = [str(ROOT / "scripts" / "kafka.sh")]
    subprocess.run([*command, "start"], env=environment, check=True, stdout=subprocess.DEVNULL)
    postgres = PostgresServer(folder / "postgres", binaries=find_binaries(), port=free_port(0))
    try:
        postgres.folder.mkdir()
        postgres.initialise()
        postgres.start()
        yield Servers(f"127.0.0.1:{port}", postgres.url, partitions)
    finally:
        postgres.stop()
        subprocess.run([*command, "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)


def uniform_events(num_events: int, *, num_users: int, items: list[str], seed: int) -> list[Interaction]:
    """Clicks of uniformly drawn users on uniformly drawn items, a millisecond apart; a higher seed's are all later."""
    source, run = random.Random(seed), secrets.token_hex(4)
    start_ms = START_MS + seed * DAY_MS  # in the past of what is stored they would be late, and windows rebuilt
    return [
        Interaction(
            f"{run}-{number}",
            f"bench-{source.randrange(num_users)}",
            source.choice(items),
            "click",
            start_ms + number,
        )
        for number in range(num_events)
    ]


def fill(at: Servers, folder: Path, topic: str, events: list[Interaction], *, group: int) -> KafkaSettings:
    """Put events into a fresh topic."""
    kafka = kafka_of(at, folder, topic)
    ensure_topics(kafka)
    with EventProducer(kafka, linger_ms=5) as producer:
        Replay(producer, group=group).run(events)
    return kafka


def kafka_of(at: Servers, folder: Path, topic: str) -> KafkaSettings:
    """How to reach a topic."""
    from tidewise.distributed import kafka_settings

    return replace(kafka_settings(at.settings(folder, topic)), request_timeout_s=30.0)


def drain_ceiling(at: Servers, folder: Path, num_events: int, items: list[str]) -> dict[str, object]:
    """Messages per second through Faust when nothing is done with them."""
    events = uniform_events(num_events, num_users=100_000, items=items, seed=1)
    kafka = fill(at, folder, "ceiling", events, group=1)
    command = [sys.executable, "-m", "benchmarks.noop_worker", kafka.servers[0], kafka.topic, str(num_events)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"messages/s": round(float(done.stdout.split()[-1]))}


def drain(at: Servers, folder: Path, topic: str, events: list[Interaction], *, group: int) -> dict[str, object]:
    """Windows per second of `tidewise worker` on a filled topic, and how fast vectors follow."""
    fill(at, folder, topic, events, group=group)
    with psycopg.connect(at.postgres, autocommit=True) as connection:
        before = _num_events(connection)
        log = folder / f"{topic}.log"
        with running(["worker", *at.arguments(folder, topic)], log=log) as worker:
            first_s = _wait(lambda: _num_events(connection) > before, worker, log)
            at_first, vectors_at_first = _num_events(connection), _num_vectors(connection)
            last_s = _wait(lambda: _num_events(connection) >= before + len(events), worker, log)
            vectors = _num_vectors(connection)
            rate = (before + len(events) - at_first) / (last_s - first_s)
            while_draining = (vectors - vectors_at_first) / (last_s - first_s)
            settled_s = time.perf_counter()
            time.sleep(3.0)  # a measuring interval, not a synchronisation
            after = (_num_vectors(connection) - vectors) / (time.perf_counter() - settled_s)
    return {
        "windows/s": round(rate),
        "vectors/s meanwhile": round(while_draining),
        "vectors/s when only they are left": round(after),
        "events": len(events),
        "events per message": group,
    }


def freshness(at: Servers, folder: Path, *, rate: float, seconds: float, items: list[str]) -> dict[str, object]:
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
        flow = multiprocessing.get_context("spawn").Process(target=_flow, args=(kafka, rate, seconds, items))
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


def _flow(kafka: KafkaSettings, rate: float, seconds: float, items: list[str]) -> None:
    events = uniform_events(int(rate * seconds), num_users=100_000, items=items, seed=3)
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


def _num_events(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT coalesce(sum(num), 0) FROM event_counts").fetchone()
    return int(row[0]) if row else 0


def _num_vectors(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT count(*) FROM vectors").fetchone()
    return int(row[0]) if row else 0


def _vector_seqs(connection: psycopg.Connection[tuple[int]]) -> int:
    """A number that rises with every vector that is stored."""
    row = connection.execute("SELECT coalesce(sum(user_seq), 0) FROM vectors").fetchone()
    return int(row[0]) if row else 0


def _wait(done: Callable[[], bool], worker: subprocess.Popen[bytes], log: Path) -> float:
    deadline = time.perf_counter() + PATIENCE_S
    while not done():
        if worker.poll() is not None or time.perf_counter() > deadline:
            msg = f"the worker ended, or took too long; its log ends with:\n{log.read_text()[-2000:]}"
            raise RuntimeError(msg)
        time.sleep(POLL_S)
    return time.perf_counter()


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    items = [item.item_id for item in make_shop().items]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run under another account
        with servers(folder, partitions=given.partitions) as at:
            prepare(at.settings(folder, "shop"), Console(stderr=True))
            single = uniform_events(given.events, num_users=given.users, items=items, seed=1)
            grouped = uniform_events(given.events * 3, num_users=given.users, items=items, seed=2)
            figures = {
                "Faust with nothing to do": drain_ceiling(at, folder, given.events, items),
                "one event per message": drain(at, folder, "single", single, group=1),
                "50 events per message": drain(at, folder, "grouped", grouped, group=50),
                "event -> changed answer": freshness(at, folder, rate=given.rate, seconds=given.seconds, items=items),
            }
            with closing(psycopg.connect(at.postgres)) as connection:
                figures["server"] = {"PostgreSQL": str(connection.info.server_version)}
    publish("streaming, one worker", figures)


if __name__ == "__main__":
    main()
