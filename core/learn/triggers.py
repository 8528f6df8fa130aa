"""Triggers: whether it is time to train, and what. A pure function of what is known.

A first model once there are events enough; then a fine-tune after so many new events, or after so long, or when
the drift monitor has raised an alarm that no training has answered yet, or when somebody asks; and a challenger that is
undecided is judged again when its slice has doubled, so that looking often doesn't let chance in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.clock import HOUR_MS, MINUTE_MS
from core.drift.records import Alarm
from core.learn.versions import with_status
from core.ports import ModelRecord, ReadTransaction, Transaction
from core.statuses import ModelStatus

JobKind = Literal["first", "fine-tune", "retrain", "judge"]
ASKED = "learn.asked"  # the fact under which a wish is kept
ANSWERED = "learn.answered"  # the fact that names when the newest alarm was raised before the newest training
GROWTH = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to do, and why."""

    kind: JobKind
    reason: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to train. `every_ms` counts from the last training, and only where `min_new_events` have come.

    `on_drift`: whether alarms are answered, `drift_pause_ms` after the last training at the soonest.
    """

    first_events: int = 1000
    every_events: int = 10_000
    every_ms: int = HOUR_MS
    min_new_events: int = 1000
    on_drift: bool = True
    drift_pause_ms: int = 15 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """Somebody asks for a training."""

    kind: JobKind
    by: str
    reason: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What is known. `num_events`: of interest while nothing serves. `num_new`: since what the newest training read.

    `unfinished`: a trainer was killed at its work. `alarm`: the newest one, if no training has answered it.
    """

    models: Sequence[ModelRecord]
    num_events: int
    num_new: int
    num_since_challenger: int
    wish: TrainingRequest | None
    unfinished: bool
    now_ms: int
    alarm: Alarm | None = None


def due(situation: TrainingState, schedule: Schedule) -> Job | None:
    """What to do now, if anything."""
    models, wish = situation.models, situation.wish
    champion = with_status(models, ModelStatus.CHAMPION)
    if situation.unfinished:
        return Job("fine-tune" if champion else "first", "a training was not finished")
    if wish is not None:
        kind: JobKind = wish.kind if champion else "first"
        return Job(kind, f"asked for by {wish.by}" + (f": {wish.reason}" if wish.reason else ""))
    challenger = with_status(models, ModelStatus.CHALLENGER)
    if challenger is not None and situation.num_since_challenger >= GROWTH * _judged_on(challenger):
        return Job("judge", f"{situation.num_since_challenger:,} events since the challenger's last one")
    if champion is None:
        wanted = schedule.first_events if challenger is None and not models else schedule.every_events
        enough = situation.num_events >= schedule.first_events and (not models or situation.num_new >= wanted)
        return Job("first", f"{situation.num_events:,} events and no model") if enough else None
    return _fine_tune_due(situation, schedule)


def _fine_tune_due(situation: TrainingState, schedule: Schedule) -> Job | None:
    """Whether the champion should learn on."""
    num_new, alarm = situation.num_new, situation.alarm
    age_ms = situation.now_ms - max(one.created_ms for one in situation.models)
    if num_new >= schedule.every_events:
        return Job("fine-tune", f"{num_new:,} new events")
    if num_new < schedule.min_new_events:
        return None
    if alarm is not None and schedule.on_drift and age_ms >= schedule.drift_pause_ms:
        return Job("fine-tune", f"drift of {alarm.signal}" + (f": {alarm.cause}" if alarm.cause else ""))
    if age_ms >= schedule.every_ms:
        return Job("fine-tune", f"{num_new:,} new events in {age_ms // MINUTE_MS} minutes")
    return None


def _judged_on(challenger: ModelRecord) -> int:
    """How many events lay behind the challenger's training when it was last judged; 1 where it never was."""
    trials = challenger.lineage.get("trials", ())
    return max(1, int(trials[-1]["available"])) if trials else 1


def trained_through_ms(record: ModelRecord | None) -> int:
    """The time from which on a model has learnt nothing; 0 where it is not known."""
    if record is None:
        return 0
    lineage = record.lineage
    return int(lineage.get("before_ms") or (lineage.get("last_event_ms") or -1) + 1)


def ask(tx: Transaction, *, kind: JobKind, by: str, reason: str, now_ms: int) -> None:
    """Keep a wish for a training, for whoever fills the role of the trainer."""
    tx.set_meta({ASKED: json.dumps({"kind": kind, "by": by, "reason": reason, "time_ms": now_ms})})


def asked(meta: Mapping[str, str]) -> TrainingRequest | None:
    """The newest wish among the facts of a store."""
    return TrainingRequest(**json.loads(meta[ASKED])) if meta.get(ASKED) else None


def unanswered(read: ReadTransaction) -> Alarm | None:
    """The newest alarm, where no training has begun since it was raised."""
    newest_ms = read.drift.newest_alarm_ms()
    if newest_ms is None or newest_ms <= int(read.meta().get(ANSWERED) or -1):
        return None
    return next(iter(read.drift.alarms(limit=1)), None)


def answer(tx: Transaction, newest_alarm_ms: int | None) -> None:
    """A training begins that knows of all alarms up to the newest one."""
    if newest_alarm_ms is not None:
        tx.set_meta({ANSWERED: str(newest_alarm_ms)})
