"""What trainer and monitor must have done by the end, however often they were killed.

One model serves, the one promoted last, from files that are whole. Points and alarms of drift are those that follow
from the closed buckets, each once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import httpx

from benchmarks.faults.processes import START_S, Api, RecoveryTimeout, wait_until
from benchmarks.faults.system import DistributedSystem
from benchmarks.scale.processes import children_of
from core.clock import WallClock
from core.errors import NotReady
from core.learn.cycle import next_job
from core.records.drift import Alarm, Point
from tidewise.bootstrap import System, open_existing
from tidewise.processes.monitor import new_detector_bank, read_all
from tidewise.training.plans import learning_schedule

MOST_ALARMS = 10_000
FOLLOWED_S = 30.0  # how soon an API must serve the model that was promoted last
SIGNIFICANT = 1e-9  # relative


def finish(target: DistributedSystem) -> None:
    """Let the trainer do what is due, after it was ended and started again, and read the rest for the monitor."""
    for child in (target.trainer, target.monitor):
        child.stop()  # also one that is still starting
    target.trainer.start()
    settings = target.settings()
    with open_existing(settings, recommends=True) as system:
        codes, schedule = system.types.flagged("window"), learning_schedule(settings)

        def is_idle() -> bool:
            job = next_job(system.store, type_codes=codes, schedule=schedule, clock=WallClock())
            return job is None and not children_of(target.trainer.process.pid)

        wait_until("the trainer has no training to do", is_idle, timeout_s=START_S, poll_s=0.5)
        wait_until("nothing is left for the monitor", lambda: _read_rest(system), poll_s=0.5)


def _read_rest(system: System) -> bool:
    """Read all buckets; False where a monitor that was killed still holds the lease."""
    try:
        read_all(system, again=False)
    except NotReady:
        return False
    return True


def violations(target: DistributedSystem) -> dict[str, int]:
    """The number of violations of each promise."""
    with open_existing(target.settings()) as system, system.store.read() as read:
        models, promotions = read.models.all(), read.models.promotions()
        points, alarms = read.drift.points(since_ms=0), read.drift.alarms(limit=MOST_ALARMS)
        wanted_points, wanted_alarms = _replayed(system)
    num_double = len(alarms) - len(set(map(_facts, alarms)))
    champions = [record.version for record in models if record.status == "champion"]
    missing = [
        record for record in models if record.path and not (target.data / record.path / "manifest.json").exists()
    ]
    return {
        "champions other than the one promoted last": int(champions != [promotions[0].version]),
        "models without files": len(missing),
        "APIs with another model": sum(not _serves(api, champions[0]) for api in target.apis if champions),
        "wrong points of drift": num_different(points, wanted_points),
        "wrong alarms of drift": len(set(map(_facts, alarms)) ^ set(map(_facts, wanted_alarms))) + num_double,
    }


def figures(target: DistributedSystem) -> dict[str, object]:
    """What the trainer and the monitor did."""
    with open_existing(target.settings()) as system, system.store.read() as read:
        models, promotions, buckets = read.models.all(), read.models.promotions(), read.drift.buckets()
    return {"models trained": len(models) - 1, "promotions": len(promotions) - 1, "buckets read": len(buckets)}


def _replayed(system: System) -> tuple[list[Point], list[Alarm]]:
    """The points and alarms that follow from the closed buckets; of an alarm that is over, how it ended."""
    bank, points, alarms = new_detector_bank(system), list[Point](), dict[str, Alarm]()
    after_ms = -1
    with system.store.read() as read:
        while buckets := read.drift.buckets(after_ms=after_ms):
            for bucket in buckets:
                found = bank.read(bucket)
                points += found.points
                alarms |= {alarm.alarm_id: alarm for alarm in (*found.alarms, *found.ended)}
            after_ms = buckets[-1].start_ms
    return points, list(alarms.values())


def num_different(stored: Iterable[Point], wanted: Iterable[Point]) -> int:
    """How many blocks have another point than wanted, or only one of both."""
    found, expected = ({point[:3]: point for point in points} for points in (stored, wanted))
    return sum(not _same(found.get(block), expected.get(block)) for block in found.keys() | expected.keys())


def _same(one: Point | None, other: Point | None) -> bool:
    if one is None or other is None or one[:5] != other[:5] or (one.expected is None) != (other.expected is None):
        return False
    return math.isclose(one.value, other.value, rel_tol=SIGNIFICANT) and math.isclose(
        one.expected or 0.0, other.expected or 0.0, rel_tol=SIGNIFICANT
    )


def _facts(alarm: Alarm) -> tuple[object, ...]:
    """What follows from the buckets; not its id, its delivery, and words."""
    return alarm.signal, alarm.segment, alarm.detected_ms, alarm.onset_ms, alarm.over_ms, alarm.ending


def _serves(api: Api, version: str) -> bool:
    def is_served() -> bool:
        return bool(httpx.get(f"{api.url}/v1/models", timeout=10.0).json()["serving"] == version)

    try:
        wait_until(f"{api.name} serves {version}", is_served, timeout_s=FOLLOWED_S, poll_s=0.2)
    except RecoveryTimeout:
        return False
    return True
