"""Faults while events flow: what is lost, what is counted twice, and how long each recovery takes.

    python -m benchmarks.faults            the whole campaign; starts all servers itself, ends with the JSON line
    python -m benchmarks.faults --quick    one or two of each

Events flow into Kafka at a rate, clients post to two APIs, two workers apply. Workers, broker, PostgreSQL and APIs are
killed and started again, workers are frozen past their session, come and go. A fault is over when a click sent to every
partition after it is in the database. At the end the database is compared with what the senders wrote down. The exit
code is 1 where one event was lost, counted twice or changed.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.fault_ledger import Ledger, Log, Stored, compare
from benchmarks.fault_system import Child, System, shop, step_of, system
from benchmarks.fault_traffic import ApiClients, Flow, Probes, flowing, patient
from benchmarks.report import publish
from tidewise.distributed import kafka_settings

FULL = {"workers": 20, "brokers": 5, "databases": 5, "apis": 10, "zombies": 5, "joins": 3}
QUICK = {"workers": 2, "brokers": 1, "databases": 2, "apis": 1, "zombies": 1, "joins": 1}
SESSION_S = 8.0  # the broker gives up a silent worker after 6
TARGETS_S = {
    "worker killed, restarted at once": 5.0,
    "worker killed, taken over": 12.0,
    "PostgreSQL killed (from its being back)": 5.0,
    "broker killed (from its being back)": 20.0,
}


@dataclass
class Campaign:
    """The faults, in any order, and what was seen of each."""

    system: System
    probes: Probes
    recoveries_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    steps: Counter[str] = field(default_factory=Counter)

    def kill_worker(self, number: int) -> None:
        """Kill a worker (-9); every second one comes back at once, the others after they were replaced."""
        worker = self._kill_frozen(self.system.workers[number // 2 % 2])
        killed_s = time.monotonic()
        if number % 2 == 0:
            worker.start()
            self.recovered("worker killed, restarted at once", killed_s)
        else:
            self.recovered("worker killed, taken over", killed_s)
            worker.start()
        worker.await_partitions()

    def kill_broker(self, _number: int) -> None:
        """Kill the broker (-9) and start it again."""
        killed_s = time.monotonic()
        self.system.broker.command("kill")
        self.system.broker.command("start")
        self._back("broker killed", killed_s)

    def kill_database(self, number: int) -> None:
        """Crash PostgreSQL, all of it or its first process, and start it again."""
        killed_s = time.monotonic()
        self.system.database.crash(signal.SIGKILL if number % 2 else signal.SIGQUIT)
        self.system.database.start()
        self._back("PostgreSQL killed", killed_s)

    def kill_api(self, number: int) -> None:
        """Kill an API (-9) while clients wait for its answers, and start it again."""
        api = self.system.apis[number % 2]
        api.kill()
        killed_s = time.monotonic()
        api.start()
        api.await_ready()
        self._note("API killed, ready again", time.monotonic() - killed_s)

    def freeze_worker(self, number: int) -> None:
        """SIGSTOP a worker past its session, let the other take over, let it go on."""
        zombie = self.system.workers[number % 2]
        num_reads = zombie.num_reads
        zombie.process.send_signal(signal.SIGSTOP)
        frozen_s = time.monotonic()
        self.recovered("worker frozen, taken over", frozen_s)
        time.sleep(max(0.0, frozen_s + SESSION_S - time.monotonic()))  # past its session is what is asked for
        zombie.process.send_signal(signal.SIGCONT)
        woken_s = time.monotonic()
        self.recovered("worker woken", woken_s)
        zombie.await_partitions(more_than=num_reads)

    def add_and_remove_worker(self, number: int) -> None:
        """A third worker joins, takes partitions over, and leaves in an orderly way."""
        extra = self.system.worker(f"extra-{number}")
        extra.start()
        try:
            extra.await_partitions()
            self.recovered("worker added (from its first partition)", time.monotonic())
            left_s = time.monotonic()
            extra.process.terminate()
            self.recovered("worker removed (from SIGTERM)", left_s)
            extra.await_end()
            self._note("worker removed, its process ended", time.monotonic() - left_s)
        finally:
            extra.stop()

    def _kill_frozen(self, worker: Child) -> Child:
        """Freeze, note where it stands, kill: the same as killing it at that moment."""
        worker.process.send_signal(signal.SIGSTOP)
        self.steps[step_of(worker, self.system.database)] += 1
        worker.kill()
        return worker

    def _back(self, fault: str, killed_s: float) -> None:
        """A server answers again: how long until the rest has noticed, and how long all of it took."""
        self.recovered(f"{fault} (from its being back)", time.monotonic())
        self._note(f"{fault} (from the kill)", time.monotonic() - killed_s)

    def recovered(self, fault: str, since_s: float) -> None:
        """Note how long after a moment a click sent now to every partition was applied."""
        self._note(fault, self.probes.recovery_s(since_s))

    def _note(self, fault: str, took_s: float) -> None:
        self.recoveries_s[fault].append(round(took_s, 2))
        sys.stderr.write(f"{time.strftime('%X')} {fault}: {took_s:.2f} s\n")

    def figures(self) -> dict[str, object]:
        """For the report."""
        figures: dict[str, object] = {}
        for fault, took_s in self.recoveries_s.items():
            found = {"num": len(took_s), "median_s": round(statistics.median(took_s), 2), "worst_s": max(took_s)}
            figures[fault] = found | ({"target_s": TARGETS_S[fault]} if fault in TARGETS_S else {})
        return {**figures, "where workers were when killed": dict(self.steps)}


def plan(campaign: Campaign, counts: dict[str, int], *, seed: int) -> list[Callable[[], None]]:
    """All faults, mixed."""
    acts = {
        "workers": campaign.kill_worker,
        "brokers": campaign.kill_broker,
        "databases": campaign.kill_database,
        "apis": campaign.kill_api,
        "zombies": campaign.freeze_worker,
        "joins": campaign.add_and_remove_worker,
    }
    drawn = [name for name, count in counts.items() for _ in range(count)]
    random.Random(seed).shuffle(drawn)
    done: Counter[str] = Counter()
    steps: list[Callable[[], None]] = []
    for name in drawn:
        steps.append(partial(acts[name], done[name]))
        done[name] += 1
    return steps


def run(broken: System, given: argparse.Namespace, counts: dict[str, int]) -> tuple[dict[str, object], dict[str, int]]:
    """Let events flow, break things, compare; what was seen, and how often each promise was broken."""
    settings = broken.settings()
    kafka = patient(kafka_settings(settings))
    items = [item.item_id for item in shop().items]
    before = Stored.read(broken.database.url)
    flow = Flow(kafka, given.rate, given.users, items, broken.folder / "flow.ledger")
    clients = ApiClients([api.url for api in broken.apis], num_clients=2, items=items, folder=broken.folder)
    probe_ledger = broken.folder / "probes.ledger"
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(probe_ledger))
        probes = stack.enter_context(closing(Probes(kafka, broken.database.url, item_id=items[0], ledger=ledger)))
        campaign = Campaign(broken, probes)
        started_s = time.monotonic()
        with flowing(flow), clients.posting():
            campaign.recovered("nothing: a click while all is well", time.monotonic())
            for break_one in plan(campaign, counts, seed=given.seed):
                break_one()
        took_s = time.monotonic() - started_s
        campaign.probes.recovery_s(time.monotonic())  # behind everything else in each partition
    log = Log.read([flow.ledger, probe_ledger, *clients.ledgers])
    shape, half_life_ms = settings.window, settings.popularity.half_life_days * 86_400_000
    broken_promises = compare(
        log,
        Stored.read(broken.database.url),
        before=before,
        size=shape.size,
        step=shape.step,
        half_life_ms=half_life_ms,
    )
    figures = campaign.figures() | {
        "events acknowledged": len(log.acknowledged),
        "events per second, over the whole run": round(len(log.acknowledged) / took_s),
        "requests to APIs sent again": clients.num_retries,
    }
    return figures, broken_promises


def main() -> int:
    """Break and publish; the exit code."""
    given = options()
    counts = {name: getattr(given, name) for name in FULL}
    chosen = {name: QUICK[name] if given.quick else FULL[name] for name in FULL}
    counts = {name: chosen[name] if count is None else count for name, count in counts.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run under another account
        try:
            with system(folder) as broken:
                figures, broken_promises = run(broken, given, counts)
        except BaseException:
            for log in sorted((folder / "logs").glob("*.log")):
                sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}\n")
            raise
    publish("faults while events flow", {**figures, "broken promises": broken_promises})
    return 1 if any(broken_promises.values()) else 0


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one or two of each fault")
    for name, count in FULL.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"how many; {count}, with --quick {QUICK[name]}")
    parser.add_argument("--rate", type=float, default=1000.0, help="events per second into Kafka")
    parser.add_argument("--users", type=int, default=2000, help="whose events they are")
    parser.add_argument("--seed", type=int, default=0, help="the order of the faults")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
