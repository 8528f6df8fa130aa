"""The faults of a campaign, at random moments, in random order and of random processes, with their recovery times.

Independent of how the system is built and of the comparison at the end.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from benchmarks.faults.processes import Child
from benchmarks.faults.system import DistributedSystem, step_of
from benchmarks.faults.traffic import Probes
from benchmarks.scale.processes import children_of
from tidewise.processes.trainer import request_job

SLOW_S, DELAY_S = 5.0, 0.05  # how long the database is slow, and by how much for each chunk of bytes
SILENT_S = 12.0  # longer than a transaction may be idle
SUSPENDED_S = 8.0  # a worker's session expires after 3 to 6 s
LONGEST_GAP_S = 1.0  # between the two faults of a pair
LONGEST_TRAINING_S = 10.0  # from a request
LONGEST_PAUSE_S = 3.0  # between two faults; a new one may begin while processes still warm up after the last
TARGETS_S = {
    "worker killed, restarted at once": 5.0,
    "worker killed, partitions reassigned": 12.0,
    "PostgreSQL killed (from its restart)": 5.0,
    "broker killed (from its restart)": 20.0,
    "broker and PostgreSQL killed (from both restarts)": 20.0,
}


@dataclass(frozen=True)
class Killable:
    """How something is killed, and how it is started again and awaited."""

    kill: Callable[[], object]
    start: Callable[[], object]


@dataclass
class Campaign:
    """The faults, in any order, and their recovery times. `random`: draws processes, moments and pairs."""

    system: DistributedSystem
    probes: Probes
    random: random.Random
    recoveries_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    steps: Counter[str] = field(default_factory=Counter)
    trainings: Counter[str] = field(default_factory=Counter)

    def kill_worker(self, number: int) -> None:
        """Kill a worker (-9); restart every second one at once, the others after their partitions were reassigned."""
        worker = self._suspend_and_kill(self.random.choice(self.system.workers))
        killed_s = time.monotonic()
        if number % 2 == 0:
            worker.start()
            self.recovered("worker killed, restarted at once", killed_s)
        else:
            self.recovered("worker killed, partitions reassigned", killed_s)
            worker.start()
        worker.await_partitions()

    def kill_broker(self, _number: int) -> None:
        """Kill the broker (-9) and restart it."""
        killed_s = time.monotonic()
        self.system.broker.command("kill")
        self.system.broker.command("start")
        self._restarted("broker killed", killed_s)

    def kill_database(self, number: int) -> None:
        """Crash PostgreSQL, all of it or its first process, and restart it."""
        killed_s = time.monotonic()
        self.system.database.crash(signal.SIGKILL if number % 2 else signal.SIGQUIT)
        self.system.database.start()
        self._restarted("PostgreSQL killed", killed_s)

    def kill_both(self, number: int) -> None:
        """Kill two within a second of each other, and restart both: at first the broker and PostgreSQL, then any."""
        killable = self._killable()
        names = ["broker", "PostgreSQL"] if number == 0 else self.random.sample(sorted(killable), 2)
        killed_s = time.monotonic()
        for name in self.random.sample(names, 2):
            killable[name].kill()
            time.sleep(self.random.uniform(0, LONGEST_GAP_S))
        for name in killable:  # servers before those that connect to them
            if name in names:
                killable[name].start()
        self._restarted(f"{' and '.join(sorted(names, key=str.lower))} killed", killed_s, restart="both restarts")

    def _killable(self) -> dict[str, Killable]:
        worker, api = self.random.choice(self.system.workers), self.random.choice(self.system.apis)
        broker, database = self.system.broker, self.system.database

        def start_api() -> None:
            api.start()
            api.await_ready()

        return {
            "PostgreSQL": Killable(partial(database.crash, signal.SIGKILL), database.start),
            "broker": Killable(partial(broker.command, "kill"), partial(broker.command, "start")),
            "worker": Killable(worker.kill, worker.start),
            "API": Killable(api.kill, start_api),
        }

    def slow_database(self, _number: int) -> None:
        """Delay all bytes between the product and PostgreSQL for a while."""
        self.system.proxy.delay(DELAY_S)
        slow_s = time.monotonic()
        self.recovered(f"PostgreSQL slow by {DELAY_S:g} s, applied meanwhile", slow_s)
        time.sleep(max(0.0, slow_s + SLOW_S - time.monotonic()))
        self.system.proxy.delay(0.0)
        self.recovered("PostgreSQL slow (from its end)", time.monotonic())

    def lose_database(self, number: int) -> None:
        """Reset all connections to PostgreSQL, or let nothing pass for a while."""
        if number % 2 == 0:
            self.system.proxy.cut()
            self.recovered("connections to PostgreSQL reset", time.monotonic())
            return
        self.system.proxy.silence()
        time.sleep(SILENT_S)
        self.system.proxy.delay(0.0)
        self.recovered("PostgreSQL silent (from its end)", time.monotonic())

    def kill_api(self, _number: int) -> None:
        """Kill an API (-9) while clients wait for its answers, and restart it."""
        api = self.random.choice(self.system.apis)
        api.kill()
        killed_s = time.monotonic()
        api.start()
        api.await_ready()
        self._record("API killed, ready again", time.monotonic() - killed_s)

    def kill_trainer(self, number: int) -> None:
        """Request a training, and kill the trainer (-9) or, each second time, only its process that trains.

        Nothing waits until it trains again: that takes a minute of a busy machine, as it has the lowest priority.
        """
        trainer = self.system.trainer
        request_job(self.system.settings(), kind="fine-tune")
        time.sleep(self.random.uniform(0, LONGEST_TRAINING_S))
        training = children_of(trainer.process.pid)
        self.trainings["while it trained" if training else "while it waited"] += 1
        if not training or number % 2 == 0:
            trainer.kill()
            trainer.start()
            report("trainer killed")
            return
        for pid in training:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGKILL)
        report("training killed")

    def kill_monitor(self, _number: int) -> None:
        """Kill the monitor (-9) and restart it; its lease expires while the campaign goes on."""
        self.system.monitor.kill()
        self.system.monitor.start()
        report("monitor killed")

    def suspend_worker(self, _number: int) -> None:
        """Suspend a worker (SIGSTOP) past its session, so that its partitions are reassigned, then continue it."""
        zombie = self.random.choice(self.system.workers)
        num_seeks = zombie.num_seeks
        zombie.process.send_signal(signal.SIGSTOP)
        suspended_s = time.monotonic()
        self.recovered("worker suspended, partitions reassigned", suspended_s)
        time.sleep(max(0.0, suspended_s + SUSPENDED_S - time.monotonic()))  # longer than its session
        zombie.process.send_signal(signal.SIGCONT)
        continued_s = time.monotonic()
        self.recovered("worker continued", continued_s)
        zombie.await_seek(after=num_seeks)

    def add_and_remove_worker(self, number: int) -> None:
        """A third worker joins, gets partitions, and leaves."""
        extra = self.system.worker(f"extra-{number}")
        extra.start()
        try:
            extra.await_partitions()
            self.recovered("worker added (from its first partition)", time.monotonic())
            left_s = time.monotonic()
            extra.terminate()
            self.recovered("worker removed (from SIGTERM)", left_s)
            extra.await_end()
            self._record("worker removed, process exited", time.monotonic() - left_s)
        finally:
            extra.stop()

    def replace_worker(self, number: int) -> None:
        """End a worker (SIGTERM) and start it from this source."""
        worker = self.system.workers[number]
        left_s = time.monotonic()
        self._replace(worker)
        self.recovered("worker replaced (from SIGTERM)", left_s)
        worker.await_partitions()
        self.recovered("worker of this version has partitions", time.monotonic())

    def replace_api(self, number: int) -> None:
        """End an API (SIGTERM) and start it from this source."""
        api = self.system.apis[number]
        left_s = time.monotonic()
        self._replace(api)
        api.await_ready()
        self._record("API replaced (from SIGTERM to ready)", time.monotonic() - left_s)

    def replace_beside(self, child: Child) -> None:
        """End the trainer or the monitor (SIGTERM) and start it from this source."""
        left_s = time.monotonic()
        self._replace(child)
        self._record(f"{child.name} replaced (from SIGTERM to its start)", time.monotonic() - left_s)

    @staticmethod
    def _replace(child: Child) -> None:
        child.terminate()
        child.await_end()
        child.checkout = None
        child.start()

    def _suspend_and_kill(self, worker: Child) -> Child:
        """Suspend, record the step of its commit, kill: the same as a kill at that step."""
        worker.process.send_signal(signal.SIGSTOP)
        self.steps[step_of(worker, self.system)] += 1
        worker.kill()
        return worker

    def _restarted(self, fault: str, killed_s: float, *, restart: str = "its restart") -> None:
        """Record the recovery time after a server has restarted, and the total time."""
        self.recovered(f"{fault} (from {restart})", time.monotonic())
        self._record(f"{fault} (from the kill)", time.monotonic() - killed_s)

    def recovered(self, fault: str, since_s: float) -> None:
        """Record how long after `since_s` a click sent now to every partition was applied."""
        self._record(fault, self.probes.recovery_s(since_s))

    def _record(self, fault: str, duration_s: float) -> None:
        self.recoveries_s[fault].append(round(duration_s, 2))
        report(f"{fault}: {duration_s:.2f} s")

    def figures(self) -> dict[str, object]:
        """The figures for the report."""
        figures: dict[str, object] = {}
        for fault, durations_s in self.recoveries_s.items():
            summary = {
                "num": len(durations_s),
                "median_s": round(statistics.median(durations_s), 2),
                "max_s": max(durations_s),
            }
            figures[fault] = summary | ({"target_s": TARGETS_S[fault]} if fault in TARGETS_S else {})
        exits = self.system.unexpected_exits
        return {
            **figures,
            "steps at which workers were killed": dict(self.steps),
            "trainers killed": dict(self.trainings),
            "unexpected exits, restarted": {"num": sum(map(len, exits.values())), **exits},
        }


def report(message: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{time.strftime('%X')} {message}\n")


def plan(campaign: Campaign, counts: dict[str, int]) -> list[Callable[[], None]]:
    """All faults, in random order, each after a random pause."""
    faults = {
        "workers": campaign.kill_worker,
        "brokers": campaign.kill_broker,
        "databases": campaign.kill_database,
        "apis": campaign.kill_api,
        "trainers": campaign.kill_trainer,
        "monitors": campaign.kill_monitor,
        "zombies": campaign.suspend_worker,
        "joins": campaign.add_and_remove_worker,
        "doubles": campaign.kill_both,
        "slows": campaign.slow_database,
        "losses": campaign.lose_database,
    }
    names = [name for name, count in counts.items() for _ in range(count)]
    campaign.random.shuffle(names)
    done: Counter[str] = Counter()
    steps: list[Callable[[], None]] = []
    for name in names:
        steps.append(partial(_after, campaign.random.uniform(0, LONGEST_PAUSE_S), partial(faults[name], done[name])))
        done[name] += 1
    return steps


def _after(pause_s: float, cause_fault: Callable[[], None]) -> None:
    time.sleep(pause_s)
    cause_fault()


def upgrade(campaign: Campaign) -> list[Callable[[], None]]:
    """A rolling upgrade: one process after the other; both versions run side by side, on one database, meanwhile."""
    steps: list[Callable[[], None]] = []
    steps += [partial(campaign.replace_worker, number) for number in range(len(campaign.system.workers))]
    steps += [partial(campaign.replace_api, number) for number in range(len(campaign.system.apis))]
    steps += [partial(campaign.replace_beside, child) for child in (campaign.system.trainer, campaign.system.monitor)]
    return steps
