"""The faults of a campaign, in a drawn order: each is done, and noted with how long the recovery from it took.

Knows nothing about how what is broken is put together, nor about what is compared at the end.
"""

from __future__ import annotations

import random
import signal
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.faults.processes import Child
from benchmarks.faults.system import System, step_of
from benchmarks.faults.traffic import Probes

SESSION_S = 8.0  # the broker gives up a silent worker after 6
GAPS_S = (0.9, 0.1, 0.5)  # between the two of a double fault
TARGETS_S = {
    "worker killed, restarted at once": 5.0,
    "worker killed, taken over": 12.0,
    "PostgreSQL killed (from its being back)": 5.0,
    "broker killed (from its being back)": 20.0,
    "broker and PostgreSQL killed (from both being back)": 20.0,
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

    def kill_both(self, number: int) -> None:
        """Kill the broker and PostgreSQL within a second of each other, in either order, and start both again."""
        kills = [partial(self.system.broker.command, "kill"), partial(self.system.database.crash, signal.SIGKILL)]
        first, second = kills if number % 2 == 0 else reversed(kills)
        killed_s = time.monotonic()
        first()
        time.sleep(GAPS_S[number % len(GAPS_S)])
        second()
        self.system.database.start()
        self.system.broker.command("start")
        self._back("broker and PostgreSQL killed", killed_s, being="both being")

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
            extra.terminate()
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

    def _back(self, fault: str, killed_s: float, *, being: str = "its being") -> None:
        """A server answers again: how long until the rest has noticed, and how long all of it took."""
        self.recovered(f"{fault} (from {being} back)", time.monotonic())
        self._note(f"{fault} (from the kill)", time.monotonic() - killed_s)

    def recovered(self, fault: str, since_s: float) -> None:
        """Note how long after a moment a click sent now to every partition was applied."""
        self._note(fault, self.probes.recovery_s(since_s))

    def _note(self, fault: str, took_s: float) -> None:
        self.recoveries_s[fault].append(round(took_s, 2))
        say(f"{fault}: {took_s:.2f} s")

    def figures(self) -> dict[str, object]:
        """For the report."""
        figures: dict[str, object] = {}
        for fault, took_s in self.recoveries_s.items():
            found = {"num": len(took_s), "median_s": round(statistics.median(took_s), 2), "worst_s": max(took_s)}
            figures[fault] = found | ({"target_s": TARGETS_S[fault]} if fault in TARGETS_S else {})
        ended = self.system.own_ends
        return {
            **figures,
            "where workers were when killed": dict(self.steps),
            "ended by themselves and started again": {"num": sum(map(len, ended.values())), **ended},
        }


def say(what: str) -> None:
    """A line for whoever watches."""
    sys.stderr.write(f"{time.strftime('%X')} {what}\n")


def plan(campaign: Campaign, counts: dict[str, int], *, seed: int) -> list[Callable[[], None]]:
    """All faults, mixed."""
    acts = {
        "workers": campaign.kill_worker,
        "brokers": campaign.kill_broker,
        "databases": campaign.kill_database,
        "apis": campaign.kill_api,
        "zombies": campaign.freeze_worker,
        "joins": campaign.add_and_remove_worker,
        "doubles": campaign.kill_both,
    }
    drawn = [name for name, count in counts.items() for _ in range(count)]
    random.Random(seed).shuffle(drawn)
    done: Counter[str] = Counter()
    steps: list[Callable[[], None]] = []
    for name in drawn:
        steps.append(partial(acts[name], done[name]))
        done[name] += 1
    return steps
