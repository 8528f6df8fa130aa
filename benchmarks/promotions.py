"""Promotions under load: requests at a steady rate while the serving model changes again and again.

    python -m benchmarks.promotions --data .tidewise             one `tidewise up`
    python -m benchmarks.promotions --data .tidewise --apis 2    two `tidewise serve` over one SQLite
    python -m benchmarks.promotions --distributed --apis 2       a Kafka, a PostgreSQL, a worker, two `tidewise serve`

Two more versions are made by short fine-tunes of the champion in a copy of the data (distributed: of the demo's shop).
Beforehand each version is served alone, and its answer to each user is written down. Then requests come at a fixed
rate, unmeasured until a process has settled, then without promotions, then during promotions and rollbacks; `--events`
other users click meanwhile. An answer counts as mixed where it is not, item by item and score by score, the one that
the version it names gave alone. Latency counts from the moment at which a request was due.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.learning.promotion_systems import over_kafka, over_sqlite
from benchmarks.report import percentiles, publish
from benchmarks.serving import Caller
from core.errors import NotFound
from core.learn.versions import promote, propose, roll_back
from core.ports.store import Transaction
from core.records.stored import ModelRecord
from tidewise.bootstrap import System, load_model, models_folder

NUM_USERS, NUM_CLIENTS, ANSWERS = 300, 16, 10
SETTLE_S = 8.0  # after a start the monitor reads again what it had read, and connections are opened
PAUSE_S = 1.5  # between two changes; views are renewed every second
TOLERANCE = 1e-4  # of scores: batches of another size round differently
Answer = tuple[tuple[str, float], ...]


@dataclass
class ClientReport:
    """What the clients saw."""

    latencies_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)


def answer_of(caller: Caller, user: str, at_ms: int) -> tuple[str, Answer]:
    """The version that answers, and the answer."""
    reply = caller.call("GET", f"/v1/users/{quote(user, safe='')}/recommendations?n={ANSWERS}&at={at_ms}")
    items: Sequence[dict[str, object]] = reply["items"]  # type: ignore[assignment]
    pairs = tuple((str(item["item_id"]), float(item["score"])) for item in items)  # type: ignore[arg-type]
    return str(reply["model_version"]), pairs


def same(first: Answer, second: Answer) -> bool:
    """Whether two answers are equal; items of equal scores may be exchanged."""
    if len(first) != len(second):
        return False
    scores = dict(first)
    close = all(abs(score - scores.get(item, 1e9)) < TOLERANCE * max(1.0, abs(score)) for item, score in second)
    return close or all(abs(a[1] - b[1]) < TOLERANCE for a, b in zip(first, second, strict=True))


def make_versions(system: System) -> list[str]:
    """The champion and two fine-tunes of it, all known to the database."""
    from model.checkpoint import save
    from model.training.fine_tuning import FineTuningPlan, fine_tune

    with system.store.read() as read:
        champion, catalogue = read.models.champion(), read.items.catalogue(include_uncatalogued=True)
        columns = read.events.columns(type_codes=system.types.flagged("window"))
    if champion is None:
        raise NotFound("the data has no model; run `tidewise train` first")
    versions, parent = [champion.version], load_model(system.settings, champion)
    since_ms = int(sorted(columns.times_ms.tolist())[len(columns) * 98 // 100])
    for seed in (1, 2):
        plan = FineTuningPlan(epochs=1, learning_rate=2e-3)
        bundle = fine_tune(parent, columns, catalogue, since_ms=since_ms, plan=plan, seed=seed)
        save(bundle, models_folder(system.settings) / bundle.version)
        record = ModelRecord(bundle.version, f"models/{bundle.version}", "challenger", champion.created_ms + seed)
        with system.store.transaction() as tx:
            propose(tx, record)
            tx.commit()
        versions.append(bundle.version)
    return versions


def serve_alone(system: System, version: str, callers: Sequence[Caller]) -> None:
    """Promote a version and wait until every API answers with it."""
    with system.store.read() as read:
        champion = read.models.champion()
    if champion is None or champion.version != version:
        change(system, partial(_promote, version=version))
    for caller in callers:
        while caller.call("GET", "/v1/models")["serving"] != version:
            time.sleep(0.05)


def _promote(tx: Transaction, *, version: str, **facts: Any) -> None:
    promote(tx, version, **facts)


def change(system: System, operation: Callable[..., object]) -> None:
    """A promotion or a rollback, as an operator does it."""
    with system.store.transaction() as tx:
        operation(tx, decided_by="benchmark", reason="", now_ms=int(time.time() * 1000))
        tx.commit()


@dataclass(frozen=True)
class Load:
    """What clients do. `expected`: by version and user; `rate`: requests per second."""

    ports: Sequence[int]
    users: Sequence[str]
    expected: Mapping[str, Mapping[str, Answer]]
    at_ms: int
    rate: float


def traffic(load: Load, stop: threading.Event) -> ClientReport:
    """Requests at a fixed rate until `stop` is set; the clients share the schedule."""
    report, lock, begun_s = ClientReport(), threading.Lock(), time.perf_counter()

    def client(number: int) -> None:
        caller, rng, turn = Caller(load.ports[number % len(load.ports)]), random.Random(number), number
        while not stop.is_set():
            due_s = begun_s + turn / load.rate
            time.sleep(max(0.0, due_s - time.perf_counter()))
            user, turn = rng.choice(load.users), turn + NUM_CLIENTS
            try:
                version, answer = answer_of(caller, user, load.at_ms)
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                with lock:
                    report.failed.append(str(error))
                caller = Caller(load.ports[number % len(load.ports)])
                continue
            took_s = time.perf_counter() - due_s
            with lock:
                report.latencies_s.append(took_s)
                report.versions.add(version)
                if not same(load.expected[version][user], answer):
                    report.mixed.append(json.dumps([version, user, answer, load.expected[version][user]]))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(NUM_CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return report


def changes(system: System, versions: Sequence[str], *, num_promotions: int, num_rollbacks: int) -> None:
    """Promotions in turn, a rollback after every few of them."""
    rng, num_left = random.Random(0), num_rollbacks
    for number in range(num_promotions):
        with system.store.read() as read:
            champion = read.models.champion()
        others = [version for version in versions if champion is None or version != champion.version]
        change(system, partial(_promote, version=rng.choice(others)))
        time.sleep(PAUSE_S)
        if num_left and (number + 1) % max(1, num_promotions // num_rollbacks) == 0:
            change(system, roll_back)
            num_left -= 1
            time.sleep(PAUSE_S)


def observed(work: Callable[[], object], load: Callable[[threading.Event], ClientReport]) -> ClientReport:
    """What clients see while some work is done."""
    stop, reports = threading.Event(), list[ClientReport]()
    thread = threading.Thread(target=lambda: reports.append(load(stop)))
    thread.start()
    work()
    stop.set()
    thread.join()
    return reports[0]


@contextmanager
def clicking(port: int, items: Sequence[str], *, rate: float) -> Iterator[list[str]]:
    """Clicks, at a rate, of users who get no recommendation requests; yields the failures."""
    stop, failed, caller = threading.Event(), list[str](), Caller(port)

    def click() -> None:
        for number in count():
            if stop.wait(1 / rate):
                return
            event = {"user_id": f"bystander-{number % 200}", "item_id": items[number % len(items)], "type": "click"}
            try:
                caller.call("POST", "/v1/interactions", event)
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                failed.append(str(error))

    thread = threading.Thread(target=click)
    if rate:
        thread.start()
    yield failed
    stop.set()
    if rate:
        thread.join()


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Measure and publish."""
    system_stage = over_kafka(folder) if options.distributed else over_sqlite(options.data, folder)
    with ExitStack() as stack:
        stage = stack.enter_context(system_stage)
        system = stage.system
        versions = make_versions(system)
        with system.store.read() as read:
            users = [user for user, state in read.users.page(limit=NUM_USERS) if len(state.window.history)]
            items = [stored.item.item_id for stored in read.items.page(limit=100)]
        ports = stack.enter_context(stage.serving(options.apis))
        callers = [Caller(port) for port in ports]
        at_ms = int(time.time() * 1000)
        expected = {}
        for version in versions:
            serve_alone(system, version, callers)
            expected[version] = {user: answer_of(callers[0], user, at_ms)[1] for user in users}

        load = partial(traffic, Load(ports, users, expected, at_ms, options.rate))
        num = options.promotions + options.rollbacks
        failed = stack.enter_context(clicking(ports[0], items, rate=options.events))
        observed(lambda: time.sleep(SETTLE_S), load)
        baseline = observed(lambda: time.sleep(num * PAUSE_S / 2), load)
        counts = {"num_promotions": options.promotions, "num_rollbacks": options.rollbacks}
        changing = observed(lambda: changes(system, versions, **counts), load)
        title = f"{options.promotions} promotions, {options.rollbacks} rollbacks"
        for phase, report in (("no promotions", baseline), (title, changing)):
            figures = {"requests": len(report.latencies_s), "failed": len(report.failed), "mixed": len(report.mixed)}
            publish(
                phase, {**figures, "versions seen": len(report.versions), "latency": percentiles(report.latencies_s)}
            )
        for problem in [
            *failed[:3],
            *baseline.failed[:3],
            *changing.failed[:3],
            *baseline.mixed[:3],
            *changing.mixed[:3],
        ]:
            publish("problem", {"what": problem})


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="state with a trained model (copied)")
    source.add_argument("--distributed", action="store_true", help="over a Kafka and a PostgreSQL of our own")
    parser.add_argument("--apis", type=int, default=1)
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second, of all APIs together")
    parser.add_argument(
        "--events", type=float, default=0.0, help="clicks per second of users without recommendation requests"
    )
    parser.add_argument("--promotions", type=int, default=20)
    parser.add_argument("--rollbacks", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(options, Path(name))


if __name__ == "__main__":
    main()
