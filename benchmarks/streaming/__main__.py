"""End-to-end throughput and freshness with Kafka and PostgreSQL on one machine.

    python -m benchmarks.streaming            starts both servers (needs Java 17, Maven once, PostgreSQL's programs)
    python -m benchmarks.streaming --only single grouped --log ml-1m.inter.tsv.gz --columns user_id,movie_id,timestamp

Each part drains a filled topic: by Faust with nothing to do, by a worker that applies nothing
(`benchmarks.streaming.noop_worker`), by a program that inserts events and does nothing else
(`benchmarks.streaming.floor`), then by `tidewise worker` with one event per message, then with grouped messages. Events
are uniform over the users, the worst case: few events of a transaction share a window. `--log` adds the same with the
first events of a real log. The last part measures the time from sending an event to the changed answer of the API,
during steady traffic (`benchmarks.streaming.freshness`).
"""

from __future__ import annotations

import argparse
import heapq
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psycopg
from rich.console import Console

from benchmarks.exactness import EventFile
from benchmarks.report import publish
from benchmarks.scale.processes import cpu_s
from benchmarks.streaming.floor import INSERTS
from benchmarks.streaming.freshness import freshness
from benchmarks.streaming.servers import Servers, kafka_of, servers
from core.clock import DAY_MS
from core.events.interactions import Interaction
from stream.kafka.admin import ensure_topics
from stream.kafka.producer import EventProducer
from stream.kafka.settings import StreamSettings
from stream.replay import Replay
from tidewise.demo.demo import make_shop, prepare
from tidewise.processes.children import free_port, running

POLL_S = 0.02
VECTORS_EVERY_S = 0.25
TIMEOUT_S = 300.0
START_MS = 1_780_000_000_000
GROUP = 50
FLOOR_RECORDS = (20, 200, 2000)  # the last as `WorkerSettings.max_events`
PARTS = ("ceiling", "floor", "single", "grouped", "freshness")
OPTIONAL_PART = "monitor"
ROUNDS = 3


def uniform_events(num_events: int, *, num_users: int, items: list[str], seed: int) -> list[Interaction]:
    """Clicks of random users on random items, a millisecond apart; those of a higher seed are later."""
    rng, run = random.Random(seed), secrets.token_hex(4)
    start_ms = START_MS + seed * DAY_MS  # earlier than stored events they would be late, and windows rebuilt
    return [
        Interaction(
            f"{run}-{number}",
            f"bench-{rng.randrange(num_users)}",
            rng.choice(items),
            "click",
            start_ms + number,
        )
        for number in range(num_events)
    ]


def logged_events(file: EventFile, num_events: int) -> list[Interaction]:
    """The earliest events of a log."""
    run = secrets.token_hex(4)
    of_users = ([(at_ms, user_id, item_id) for at_ms, item_id, _ in h] for user_id, h in file.histories().items())
    first = heapq.nsmallest(num_events, (event for events in of_users for event in events))
    return [Interaction(f"{run}-{n}", user, item, "click", at_ms) for n, (at_ms, user, item) in enumerate(first)]


def fill(at: Servers, folder: Path, topic: str, events: list[Interaction], *, group: int) -> StreamSettings:
    """Send events to a new topic."""
    kafka = kafka_of(at, folder, topic)
    ensure_topics(kafka)
    with EventProducer(kafka, linger_ms=5) as producer:
        Replay(producer, group=group).run(events)
    return kafka


def drain_ceiling(at: Servers, folder: Path, num_events: int, items: list[str], *, how: str) -> dict[str, object]:
    """Messages per second where nothing is applied; `how`: of `benchmarks.streaming.noop_worker`."""
    events = uniform_events(num_events, num_users=100_000, items=items, seed=1)
    kafka = fill(at, folder, f"ceiling-{how}", events, group=1)
    options = [kafka.servers[0], kafka.topic, str(num_events), how]
    return {"messages/s": _printed_rate([sys.executable, "-m", "benchmarks.streaming.noop_worker", *options])}


def drain_floor(at: Servers, folder: Path, num_events: int, items: list[str]) -> dict[str, object]:
    """Events per second inserted by a program that does nothing else, by COPY and from arrays."""
    events = uniform_events(num_events, num_users=100_000, items=items, seed=4)
    figures: dict[str, object] = {}
    for max_records in FLOOR_RECORDS:
        for how in INSERTS:
            kafka = fill(at, folder, f"floor-{how}-{max_records}", events, group=1)
            options = [kafka.servers[0], kafka.topic, str(num_events), at.postgres, how, str(max_records)]
            rate = _printed_rate([sys.executable, "-m", "benchmarks.streaming.floor", *options])
            figures[f"{how}, at most {max_records} events in a transaction"] = rate
    return figures


def _printed_rate(command: list[str]) -> int:
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return round(float(finished.stdout.split()[-1]))


def compare_monitoring(
    at: Servers, folder: Path, num_events: int, *, num_users: int, items: list[str]
) -> dict[str, object]:
    """Windows per second with and without drift monitoring, alternately."""
    rates: dict[str, list[float]] = {"true": [], "false": []}
    for round_number in range(ROUNDS):
        for index, switch in enumerate(rates):
            events = uniform_events(num_events, num_users=num_users, items=items, seed=10 + 2 * round_number + index)
            topic, setting = f"monitor-{switch}-{round_number}", f"drift.enabled={switch}"
            figures = drain(at, folder, topic, events, group=GROUP, settings=(setting,))
            rates[switch].append(float(str(figures["windows/s"])))
    median_on, median_off = (median(of_switch) for of_switch in rates.values())
    return {"with": rates["true"], "without": rates["false"], "ratio of medians": round(median_on / median_off, 3)}


def drain(
    at: Servers, folder: Path, topic: str, events: list[Interaction], *, group: int, settings: Sequence[str] = ()
) -> dict[str, object]:
    """Windows and vectors per second of `tidewise worker` on a filled topic."""
    fill(at, folder, topic, events, group=group)
    port, log = free_port(0), folder / f"{topic}.log"
    arguments = at.arguments(folder, topic)
    for setting in (f"metrics.port={port}", *settings):
        arguments += ["--set", setting]
    with psycopg.connect(at.postgres, autocommit=True) as connection:
        before = _num_events(connection)
        with running(["worker", *arguments], log=log) as worker:
            _wait(lambda: _num_events(connection) > before, worker, log)
            cpu_before_s = cpu_s(worker.pid, alone=True)
            samples = [_Progress(time.perf_counter(), _num_events(connection) - before, 0)]

            def all_stored() -> bool:
                now_s, num_events = time.perf_counter(), _num_events(connection) - before
                if num_events == len(events) or now_s - samples[-1].at_s > VECTORS_EVERY_S:
                    samples.append(_Progress(now_s, num_events, _num_vectors(port)))
                return num_events == len(events)

            _wait(all_stored, worker, log)
            worker_cpu_s = cpu_s(worker.pid, alone=True) - cpu_before_s
            time.sleep(3.0)  # a measuring interval, not a synchronisation
            after = _Progress(time.perf_counter(), len(events), _num_vectors(port))
    with_vectors = [sample for sample in samples if sample.num_vectors] or samples[-1:]
    num_timed = samples[-1].num_events - samples[0].num_events
    return {
        "windows/s": round(_rate(samples[0], samples[-1], num_timed)),
        "CPU us per event, without encoding": round(1e6 * worker_cpu_s / num_timed, 1),
        "vectors/s meanwhile": round(
            _rate(with_vectors[0], samples[-1], samples[-1].num_vectors - with_vectors[0].num_vectors)
        ),
        "for seconds": round(samples[-1].at_s - with_vectors[0].at_s, 1),
        "vectors/s when only they are left": round(
            _rate(samples[-1], after, after.num_vectors - samples[-1].num_vectors)
        ),
        "events": len(events),
        "events per message": group,
    }


@dataclass(frozen=True)
class _Progress:
    """Totals at one moment."""

    at_s: float
    num_events: int
    num_vectors: int


def _rate(first: _Progress, last: _Progress, num: int) -> float:
    return num / (last.at_s - first.at_s) if last.at_s > first.at_s else 0.0


def _num_events(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT coalesce(sum(num), 0) FROM event_counts").fetchone()
    return int(row[0]) if row else 0


def _num_vectors(metrics_port: int) -> int:
    """The worker's metric."""
    lines = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text.splitlines()
    return sum(
        int(float(line.split()[-1])) for line in lines if line.startswith("tidewise_worker_vectors_encoded_total")
    )


def _wait(done: Callable[[], bool], worker: subprocess.Popen[bytes], log: Path) -> float:
    deadline = time.perf_counter() + TIMEOUT_S
    while not done():
        if worker.poll() is not None or time.perf_counter() > deadline:
            wanted = f"wanted a worker that finishes within {TIMEOUT_S:g} s, but it exited or was slower"
            msg = f"{wanted}; its log ends with:\n{log.read_text()[-2000:]}"
            raise RuntimeError(msg)
        time.sleep(POLL_S)
    return time.perf_counter()


def settle(at: Servers) -> None:
    """Vacuum and checkpoint after the bulk load, so that PostgreSQL can reuse the segments of its write-ahead log.

    Steady traffic does not need it. Creating a segment takes 80 ms.
    """
    with psycopg.connect(at.postgres, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def measure(at: Servers, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Measure the selected parts."""
    items = [item.item_id for item in make_shop().items]
    parts = options.only
    figures: dict[str, object] = {}
    if "ceiling" in parts:
        figures["Faust with nothing to do"] = drain_ceiling(at, folder, options.events, items, how="faust")
        figures["a worker that applies nothing"] = drain_ceiling(at, folder, options.events, items, how="worker")
    if "floor" in parts:
        figures["inserted and nothing else, events/s"] = drain_floor(at, folder, options.events, items)
    if "single" in parts:
        events = uniform_events(options.events, num_users=options.users, items=items, seed=1)
        figures["one event per message"] = drain(at, folder, "single", events, group=1)
    if "grouped" in parts:
        events = uniform_events(options.events * 3, num_users=options.users, items=items, seed=2)
        figures[f"{GROUP} events per message"] = drain(at, folder, "grouped", events, group=GROUP)
    for part, group, times in (("single", 1, 1), ("grouped", GROUP, 3)) if options.log else ():
        if part in parts:
            events = logged_events(EventFile(options.log, options.columns, options.time_unit), options.events * times)
            name = f"{options.log.name.split('.')[0]}, {group} per message"
            figures[name] = drain(at, folder, f"{part}-log", events, group=group)
    if OPTIONAL_PART in parts:
        counted = compare_monitoring(at, folder, options.events, num_users=options.users, items=items)
        figures["windows/s with and without drift monitoring"] = counted
    if "freshness" in parts:
        settle(at)
        events = uniform_events(int(options.rate * options.seconds), num_users=options.users, items=items, seed=3)
        figures["event -> changed answer"] = freshness(at, folder, events, rate=options.rate, items=items)
    with closing(psycopg.connect(at.postgres)) as connection:
        figures["server"] = {"PostgreSQL": str(connection.info.server_version), "partitions": at.partitions}
    return figures


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=(*PARTS, OPTIONAL_PART), default=PARTS, help="what to measure")
    parser.add_argument(
        "--events",
        type=int,
        default=120_000,
        help="events with one per message; three times as many with grouped messages",
    )
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="events per second besides the timed ones")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of that traffic")
    parser.add_argument("--log", type=Path, help="also measure with a file of events")
    parser.add_argument(
        "--columns", type=lambda names: tuple(names.split(",")), default=("user_id", "item_id", "timestamp")
    )
    parser.add_argument("--time-unit", choices=("s", "ms"), default="s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run under another account
        with servers(folder, partitions=options.partitions) as at:
            prepare(at.settings(folder, "shop"), Console(stderr=True))
            figures = measure(at, folder, options)
    publish("streaming, one worker", figures)


if __name__ == "__main__":
    main()
