"""Three times the events that a worker carries, through Kafka, and what became of them.

    python -m benchmarks.endurance.overload_kafka --minutes 2 --times 3

Starts a Kafka and a PostgreSQL (needs Java 17, Maven once, PostgreSQL's programs). The rate that one worker carries is
measured first, with a burst that has been sent. Then a producer sends several times that rate, and Kafka keeps what
waits. Told are the worker's memory and lag over time, how long it works on what waited, how long a single event takes
before and after, and events that are not stored, stored twice, or not in the order of their user.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import httpx
import psycopg
from rich.console import Console

from benchmarks.faults.clients.comparison import event_key, keys_of_events
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import children_of, own_memory_bytes
from benchmarks.streaming.servers import Servers, kafka_of, servers
from core.events.interactions import Interaction
from stream.kafka.admin import ensure_topics
from stream.kafka.producer import EventProducer
from stream.kafka.settings import StreamSettings
from stream.replay import FullSpeed, Rate, Replay
from tidewise.demo.demo import make_shop, prepare
from tidewise.processes.children import check_running, free_port, running

TOPIC = "overload"
PREFIX = "overload-"
START_MS = 1_780_000_000_000
FIRST_EVENTS = 20_000  # all of the worker has started when these are stored
CARRIED_EVENTS = 300_000
PRODUCER_FIRST = 10  # niceness of the worker, whose processes would leave too little to the producer
SAMPLES = 8  # of memory and lag while the load lasts, and as many afterwards
SINGLES = 50
POLL_S = 0.005

LAG = "tidewise_worker_lag_messages{"
STORED: LiteralString = "SELECT coalesce(sum(num), 0) FROM event_counts"
DISORDER: LiteralString = """
    SELECT count(*) FROM (
        SELECT user_seq - lag(user_seq) OVER (PARTITION BY user_key ORDER BY time_ms) AS step FROM interactions
        JOIN users ON key = user_key WHERE user_id LIKE 'overload-%') AS steps
    WHERE step <= 0"""


class SentEvents(NamedTuple):
    """Events with the numbers from `first` on, a millisecond apart, of random users."""

    first: int
    num: int
    num_users: int
    items: list[str]

    def events(self) -> Iterator[Interaction]:
        """All, in the order of their times."""
        source = random.Random(self.first)
        for number in range(self.first, self.first + self.num):
            user, item = f"{PREFIX}{source.randrange(self.num_users)}", source.choice(self.items)
            yield Interaction(f"{PREFIX}{number}", user, item, "click", START_MS + number)


class WorkerState(NamedTuple):
    """At one moment: own memory of the worker and of its encoder in MB, messages that wait, events stored."""

    memory_mb: int
    encoder_mb: int
    num_waiting: int
    num_stored: int


class LoadedWorker:
    """A worker that runs, and the numbers of what is sent to it."""

    def __init__(self, at: Servers, kafka: StreamSettings, process: subprocess.Popen[bytes], log: Path) -> None:
        self._kafka, self._process, self._log = kafka, process, log
        self._database = psycopg.connect(at.postgres, autocommit=True)
        self._before = keys_of_events(self._rows)
        self.num_sent = 0

    def traffic(self, num: int, *, num_users: int, items: list[str]) -> SentEvents:
        """Events that have not been sent; they are counted as sent."""
        self.num_sent += num
        return SentEvents(self.num_sent - num, num, num_users, items)

    def num_stored(self) -> int:
        """Events of all traffic that are stored."""
        return self._count(STORED) - len(self._before)

    def wait_stored(self, *, every_s: float = POLL_S) -> Iterator[int]:
        """The number that are stored, until all are; raises `ProcessError` if the worker ends."""
        while (num := self.num_stored()) < self.num_sent:
            yield num
            check_running({self._log: self._process})
            time.sleep(every_s)

    def state(self, metrics_port: int) -> WorkerState:
        """Now; the lag is a second old at most."""
        metrics = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", timeout=30.0).text.splitlines()
        waiting = [round(float(line.split()[-1])) for line in metrics if line.startswith(LAG)]
        encoder_bytes = sum(map(own_memory_bytes, children_of(self._process.pid)))
        own_bytes = own_memory_bytes(self._process.pid) - encoder_bytes
        return WorkerState(round(own_bytes / 1e6), round(encoder_bytes / 1e6), sum(waiting), self.num_stored())

    def single_s(self, items: list[str]) -> list[float]:
        """Seconds from sending a single event to its being stored."""
        seconds = []
        with EventProducer(self._kafka) as producer:
            for event in (
                event for _ in range(SINGLES) for event in self.traffic(1, num_users=1, items=items).events()
            ):
                begin_s = time.monotonic()
                producer.send(event).result()
                deque(self.wait_stored(), 0)
                seconds.append(time.monotonic() - begin_s)
        return seconds

    def compared(self) -> dict[str, int]:
        """What is stored against what was sent."""
        stored = keys_of_events(self._rows) - self._before
        sent = {event_key(f"{PREFIX}{number}") for number in range(self.num_sent)}
        return {
            "events sent in all": len(sent),
            "not stored": len(sent - stored),
            "stored, never sent": len(stored - sent),
            "stored twice": self._count("SELECT count(*) FROM interactions") - len(stored | self._before),
            "not in the order of their user": self._count(DISORDER),
        }

    def close(self) -> None:
        """Disconnect from the database."""
        self._database.close()

    def _rows(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        return self._database.execute(statement).fetchall()

    def _count(self, statement: LiteralString) -> int:
        [(num,)] = self._rows(statement)
        return int(num)


def produce(kafka: StreamSettings, traffic: SentEvents, group: int, rate: float | None = None) -> None:
    """Send so many events a second; None: as fast as it can."""
    with EventProducer(kafka, linger_ms=5) as producer:
        Replay(producer, pace=FullSpeed() if rate is None else Rate(rate), group=group).run(traffic.events())


@dataclass(frozen=True, slots=True)
class Overload:
    """Several times what a worker carries, for some seconds, with events of so many users in groups."""

    times: float
    seconds: float
    num_users: int
    group: int
    items: list[str]

    def figures(self, worker: LoadedWorker, kafka: StreamSettings, metrics_port: int) -> dict[str, object]:
        """Of the whole run."""
        self._burst(worker, kafka, FIRST_EVENTS)
        before_s = worker.single_s(self.items)
        carried = self._burst(worker, kafka, CARRIED_EVENTS)
        rate = self.times * carried
        traffic = worker.traffic(round(rate * self.seconds), num_users=self.num_users, items=self.items)
        # In another process: this one is to measure meanwhile.
        sender = multiprocessing.get_context("spawn").Process(target=produce, args=(kafka, traffic, self.group, rate))
        loaded, begin_s = [worker.state(metrics_port)], time.monotonic()
        sender.start()
        while sender.is_alive():
            sender.join(self.seconds / SAMPLES)
            loaded.append(worker.state(metrics_port))
        assert sender.exitcode == 0, "the producer failed, see above"
        end_s = time.monotonic()
        drained = [worker.state(metrics_port) for _ in worker.wait_stored(every_s=1.0)]
        took_s = time.monotonic() - end_s
        num_meanwhile = loaded[-1].num_stored - loaded[0].num_stored
        drained = [*drained[:: max(1, len(drained) // SAMPLES)], worker.state(metrics_port)]
        return {
            "carried, events/s": round(carried),
            "sent, events/s": round(traffic.num / (end_s - begin_s)),
            "stored meanwhile, events/s": round(num_meanwhile / (end_s - begin_s)),
            "the worker's memory meanwhile, MB": [state.memory_mb for state in loaded],
            "its encoder's meanwhile, MB": [state.encoder_mb for state in loaded],
            "lag meanwhile, messages": [state.num_waiting for state in loaded],
            "until all was stored after, s": round(took_s, 1),
            "stored then, events/s": round((traffic.num - num_meanwhile) / took_s),
            "the worker's memory then, MB": [state.memory_mb for state in drained],
            "its encoder's then, MB": [state.encoder_mb for state in drained],
            "lag then, messages": [state.num_waiting for state in drained],
            "a single event before": percentiles(before_s),
            "a single event after": percentiles(worker.single_s(self.items)),
            **worker.compared(),
        }

    def _burst(self, worker: LoadedWorker, kafka: StreamSettings, num: int) -> float:
        """Events that are stored in a second when all have been sent."""
        produce(kafka, worker.traffic(num, num_users=self.num_users, items=self.items), self.group)
        begin_s, num_left = time.monotonic(), worker.num_sent - worker.num_stored()
        deque(worker.wait_stored(), 0)
        return num_left / (time.monotonic() - begin_s)


def measure(at: Servers, folder: Path, overload: Overload) -> dict[str, object]:
    """Run a worker and overload it."""
    kafka, port, log = kafka_of(at, folder, TOPIC), free_port(0), folder / "worker.log"
    ensure_topics(kafka)
    arguments = ["worker", *at.arguments(folder, TOPIC), "--set", f"metrics.port={port}"]
    with (
        running(arguments, log=log, niceness=PRODUCER_FIRST) as process,
        closing(LoadedWorker(at, kafka, process, log)) as worker,
    ):
        return overload.figures(worker, kafka, port)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--times", type=float, default=3.0, help="what the worker carries")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--group", type=int, default=20, help="events of a message at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run under another account
        with servers(folder) as at:
            prepare(at.settings(folder, "shop"), Console(stderr=True))
            items = [item.item_id for item in make_shop().items]
            overload = Overload(options.times, options.minutes * 60, options.users, options.group, items)
            figures = measure(at, folder, overload)
    publish(f"{options.times:g} times the events of a worker for {options.minutes:g} minutes", figures)


if __name__ == "__main__":
    main()
