"""Changes of known time through the whole system: real ingest, a real model's scores, a real monitor over the database.

    python -m benchmarks.drift_end_to_end --streams 5

A simulated shop is visited for days, a small model learns from the first of them, and the rest comes in live, on the
stream's clock, while `tidewise monitor` watches in a process of its own over SQLite. Each kind of change comes at a
known moment (`tidewise.demo.shop_changes`). Told are false alarms, the delay in events, by how much the onset is off,
and whether the likely cause is the real one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.report import publish
from core.clock import DAY_MS, HOUR_MS
from core.drift.monitor import GRACE_MS, HIT_RANK
from core.ingestion.sources import RequestSource
from core.ports.drift import DriftReader
from core.ports.store import Store
from core.records.drift import BUCKET_MS, Alarm, Score
from tidewise.bootstrap import open_system
from tidewise.demo.demo import fill
from tidewise.demo.shop_changes import Change
from tidewise.demo.shop_items import make_assortment
from tidewise.demo.simulator import DEFAULT_END_MS, Shop, simulate_shop
from tidewise.processes.children import ProcessError, running
from tidewise.processes.monitor import new_detector_bank
from tidewise.settings.schema import CONFIG_NAME, Settings, load_settings
from tidewise.training.learning import train_model

Kind = Literal["none", "rhythm", "sudden", "gradual", "segment", "interests"]
KINDS: tuple[Kind, ...] = ("none", "rhythm", "sudden", "gradual", "segment", "interests")
BATCH = 25  # a quarter of an hour or so: most events of a visit are in batches of their own, as live ones are
PATIENCE_S = 900.0
POLL_S = 0.2
SETTINGS = """
[clock]
mode = "stream"
[model]
width = 48
layers = 1
experts = 2
text_dim = 32
[train]
epochs = 12
threads = 1
[drift]
samples_per_minute = 1e9
"""


@dataclass(frozen=True, slots=True)
class ShopPlan:
    """One stream: its length, the `days_trained` that the model is trained on, and the change with its time."""

    kind: Kind
    seed: int
    num_users: int = 1_500
    days: int = 32
    days_trained: int = 14
    days_after: int = 8

    @property
    def change_ms(self) -> int | None:
        """When it changes; None for kinds that do not."""
        return None if self.kind in ("none", "rhythm") else DEFAULT_END_MS - self.days_after * DAY_MS + 11 * HOUR_MS

    def shop(self, kind: Kind) -> Shop:
        """The shop of this seed with some kind of change."""
        shape = {"num_users": self.num_users, "days": self.days, "live_days": self.days - self.days_trained}
        change = None if kind == "none" else Change(kind, self.change_ms or 0, self.category)
        return simulate_shop(seed=self.seed, change=change, **shape)

    @property
    def category(self) -> str:
        """The category that a change is about."""
        return "Gardening" if self.kind != "segment" else self._largest()

    def _largest(self) -> str:
        assortment = make_assortment(np.random.default_rng(self.seed), 1800)
        return assortment.categories[int(assortment.category_shares.argmax())]

    def is_cause_of(self, alarm: Alarm) -> bool:
        """Whether an alarm says what the change was."""
        if self.kind == "segment":
            return alarm.segment == f"category={self.category}" or f"mostly in {self.category}:" in alarm.cause
        said = f"to {self.category} (" if self.kind == "interests" else "users choose differently within them"
        return said in alarm.cause


@dataclass(frozen=True, slots=True)
class EndToEndResult:
    """What came of one stream. `watched`: events that came live, and before the change if there is one."""

    plan: ShopPlan
    watched: int
    false_alarms: tuple[Alarm, ...]
    delay: int | None
    alarm: Alarm | None
    scores: tuple[Score, ...]

    def hit_rate(self, *, changed: bool) -> float:
        """Of the scored events on one side of the change."""
        change_ms = self.plan.change_ms or DEFAULT_END_MS
        ranks = [one.rank for one in self.scores if one.rank is not None and (one.time_ms >= change_ms) == changed]
        return float(np.mean(np.array(ranks) <= HIT_RANK)) if ranks else float("nan")

    def losses(self, *, of_hits: bool) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The losses of hits, or of the others, before any change."""
        before_ms = self.plan.change_ms or DEFAULT_END_MS
        chosen = [one for one in self.scores if one.rank is not None and one.time_ms < before_ms]
        return np.array([one.loss for one in chosen if ((one.rank or 0) <= HIT_RANK) == of_hits], np.float64)


def learn(plan: ShopPlan, folder: Path) -> None:
    """A data folder with the shop's first days and a model of them."""
    folder.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text(SETTINGS)
    with open_system(settings_in(folder)) as system:
        fill(system, plan.shop("rhythm" if plan.kind == "rhythm" else "none"))
        train_model(system, progress=lambda _: None)


def settings_in(folder: Path) -> Settings:
    """The settings of a data folder."""
    return load_settings(overrides={"data.folder": str(folder)}, environment={})


def run(plan: ShopPlan, folder: Path) -> EndToEndResult:
    """Bring the rest of a stream into a folder made by `learn`, watched by a monitor process."""
    live = plan.shop(plan.kind).live
    log = folder / "monitor.log"
    with running(["monitor", "--data", str(folder)], log=log) as monitor, open_system(settings_in(folder)) as system:
        for first in range(0, len(live), BATCH):
            system.ingestor.ingest(live[first : first + BATCH], RequestSource("live"))
        until_read(system.store, live[-1].time_ms, lambda: monitor.poll() is None, log)
        with system.store.read() as read:
            return outcome_of(plan, read.drift.alarms()[::-1], read.drift)


def read_again(plan: ShopPlan, folder: Path) -> EndToEndResult:
    """What today's detectors say of what the monitor of an earlier run had read."""
    with open_system(settings_in(folder)) as system, system.store.read() as read:
        watcher = new_detector_bank(system)
        alarms = [alarm for bucket in read.drift.buckets() for alarm in watcher.read(bucket).alarms]
        return outcome_of(plan, alarms, read.drift)


def outcome_of(plan: ShopPlan, alarms: Sequence[Alarm], read: DriftReader) -> EndToEndResult:
    """What came of a stream, from its alarms, oldest first."""
    change_ms = plan.change_ms or DEFAULT_END_MS
    times_ms = np.array([event.time_ms for event in plan.shop(plan.kind).live])
    false_alarms = tuple(alarm for alarm in alarms if alarm.detected_ms < change_ms or plan.change_ms is None)
    alarm = next((each for each in alarms if each not in false_alarms), None)
    delay = int(((times_ms >= change_ms) & (times_ms < alarm.detected_ms)).sum()) if alarm else None
    scores = tuple(read.scores(from_ms=0, to_ms=DEFAULT_END_MS + 1))
    return EndToEndResult(plan, int((times_ms < change_ms).sum()), false_alarms, delay, alarm, scores)


def until_read(store: Store, now_ms: int, alive: Callable[[], bool], log: Path) -> None:
    """Wait until the monitor has scored and read all that can be read at a time."""
    give_up_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_s and alive():
        with store.read() as read:
            last_ms, before_ms = read.drift.last_bucket_ms() or -1, now_ms - GRACE_MS - BUCKET_MS + 1
            waiting = read.drift.counted_ms(after_ms=last_ms, before_ms=before_ms, limit=1)
            if not waiting and not read.drift.unscored(limit=1):
                return
        time.sleep(POLL_S)
    msg = f"the monitor ended, or did not read everything within {PATIENCE_S:.0f} s: {log.read_text()[-500:]}"
    raise ProcessError(msg)


def description_of(outcome: EndToEndResult) -> str:
    """One stream in words, for the progress output."""
    false = [f"{alarm.signal} {alarm.segment}".strip() for alarm in outcome.false_alarms]
    text = "nothing noticed"
    if outcome.alarm is not None:
        text = f"noticed after {outcome.delay} events by {outcome.alarm.signal} {outcome.alarm.segment}".strip()
    return f"{text}, false alarms: {', '.join(false) or 'none'}"


def summary(outcomes: Sequence[EndToEndResult]) -> dict[str, object]:
    """The figures of one kind."""
    watched, plan = sum(outcome.watched for outcome in outcomes), outcomes[0].plan
    false_alarms = [alarm.signal for outcome in outcomes for alarm in outcome.false_alarms]
    figures: dict[str, object] = {
        "streams": len(outcomes),
        "events_watched": watched,
        "scored": sum(len(outcome.scores) for outcome in outcomes),
        "false_alarms": len(false_alarms),
        "false_alarms_per_100k": round(len(false_alarms) / watched * 100_000, 2),
        "false_alarms_of": {name: false_alarms.count(name) for name in sorted(set(false_alarms))},
        "hit_rate": round(float(np.mean([outcome.hit_rate(changed=False) for outcome in outcomes])), 3),
    }
    if plan.change_ms is None:
        return figures
    seen = [
        (outcome.delay, outcome.alarm, outcome.plan)
        for outcome in outcomes
        if outcome.alarm is not None and outcome.delay is not None
    ]
    signals = [f"{alarm.signal} {alarm.segment}".strip() for _, alarm, _ in seen]
    return figures | {
        "hit_rate_after": round(float(np.mean([outcome.hit_rate(changed=True) for outcome in outcomes])), 3),
        "noticed": len(seen),
        "delays_events": sorted(delay for delay, _, _ in seen),
        "onset_errors_h": sorted(round(abs(a.onset_ms - (p.change_ms or 0)) / HOUR_MS, 1) for _, a, p in seen),
        "by": {name: signals.count(name) for name in sorted(set(signals))},
        "cause_right": sum(p.is_cause_of(alarm) for _, alarm, p in seen),
        "causes": sorted({alarm.cause for _, alarm, _ in seen}),
    }


def measured(plan: ShopPlan, top: Path) -> EndToEndResult:
    """A stream in a folder of its own, or what is there already of an earlier run."""
    folder = top / f"{plan.kind}-{plan.seed}-live"
    if folder.exists():
        return read_again(plan, folder)
    trained = top / f"{'rhythm' if plan.kind == 'rhythm' else 'plain'}-{plan.seed}"
    if not trained.exists():
        learn(plan, trained)
    partial = folder.with_suffix(".partial")
    shutil.copytree(trained, partial)
    outcome = run(plan, partial)
    partial.rename(folder)
    return outcome


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=5, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--folder", type=Path, help="keep the databases here; those of an earlier run are read again")
    options = parser.parse_args()
    outcomes: dict[str, list[EndToEndResult]] = {kind: [] for kind in options.kinds}
    with tempfile.TemporaryDirectory() as name:
        for seed in range(1, options.streams + 1):
            for kind in options.kinds:
                outcome = measured(ShopPlan(kind, seed), options.folder or Path(name))
                outcomes[kind].append(outcome)
                sys.stderr.write(f"{kind}, seed {seed}: {description_of(outcome)}\n")
    figures: dict[str, object] = {kind: summary(of_kind) for kind, of_kind in outcomes.items()}
    unchanged = [outcome for of_kind in outcomes.values() for outcome in of_kind]
    for what, of_hits in (("losses of hits", True), ("losses of the others", False)):
        losses = np.concatenate([outcome.losses(of_hits=of_hits) for outcome in unchanged])
        figures[f"{what}, deciles"] = np.round(np.percentile(losses, range(0, 101, 10)), 2).tolist()
    publish("drift, end to end", figures)


if __name__ == "__main__":
    main()
