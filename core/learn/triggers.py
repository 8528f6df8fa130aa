"""Training triggers: decide whether to train now, and what; a pure function of the training state.

The first model is trained once there are enough events. A champion is fine-tuned after a number of new events, after a
period, after a drift alarm or on request. An undecided challenger is judged again when its slice has doubled, because
frequent judging would raise the share of false promotions. While an experiment decides on a challenger, only its
checks are due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.clock import HOUR_MS, MINUTE_MS
from core.learn.promotion_experiments import EXPERIMENT, is_check_due, is_orphaned
from core.learn.versions import with_status
from core.ports.store import ReadTransaction, Transaction
from core.records.drift import ANSWER_SIGNALS, Alarm
from core.records.statuses import ModelStatus
from core.records.stored import ModelRecord

JobKind = Literal["first", "fine-tune", "retrain", "judge", "check", "by hand"]
REQUEST_KEY = "training.request"  # of the metadata: the training request that waits
ACKNOWLEDGED_KEY = "training.acknowledged_alarm_ms"  # of the metadata; `detected_ms` of an alarm
JUDGE_AGAIN_GROWTH = 2.0
MAX_ALARMS = 20  # the newest ones, which are searched for one that is not over


@dataclass(frozen=True, slots=True)
class Job:
    """A training or a judgement to run, and why."""

    kind: JobKind
    reason: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to train. `every_ms` counts from the last training and needs `min_new_events`.

    `on_drift`: whether drift alarms start a training, at the earliest `drift_pause_ms` after the last one.
    """

    first_events: int = 1000
    every_events: int = 10_000
    every_ms: int = HOUR_MS
    min_new_events: int = 1000
    on_drift: bool = True
    drift_pause_ms: int = 15 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training that a person or a process requested."""

    kind: JobKind
    by: str
    reason: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What the decision depends on.

    `num_events`: all events, counted only while no champion serves. `num_new`: those since the newest training.
    `num_since_challenger`: those since the challenger's training. `unfinished`: a training was interrupted. `alarm`:
    the newest unacknowledged one.
    """

    models: Sequence[ModelRecord]
    num_events: int
    num_new: int
    num_since_challenger: int
    request: TrainingRequest | None
    unfinished: bool
    now_ms: int
    alarm: Alarm | None = None


def choose_job(state: TrainingState, schedule: Schedule) -> Job | None:
    """The job to run now, if any."""
    request = state.request
    champion = with_status(state.models, ModelStatus.CHAMPION)
    if state.unfinished:
        return Job("fine-tune" if champion else "first", "an interrupted training")
    if request is not None:
        kind: JobKind = request.kind if champion else "first"
        return Job(kind, f"requested by {request.by}" + (f": {request.reason}" if request.reason else ""))
    tested = next((record for record in state.models if record.lineage.get(EXPERIMENT)), None)
    if tested is not None:
        is_due = is_orphaned(tested) or is_check_due(tested, state.now_ms)
        return Job("check", f"experiment {tested.lineage[EXPERIMENT]['name']}") if is_due else None
    challenger = with_status(state.models, ModelStatus.CHALLENGER)
    if challenger is not None and state.num_since_challenger >= JUDGE_AGAIN_GROWTH * _judged_on(challenger):
        return Job("judge", f"{state.num_since_challenger:,} events since the challenger's last one")
    if champion is None:
        return _first_job(state, schedule)
    return _fine_tune_job(state, schedule)


def _first_job(state: TrainingState, schedule: Schedule) -> Job | None:
    """The first training; after a first model that was not promoted, the next needs as many events as a fine-tune."""
    enough_new = not state.models or state.num_new >= schedule.every_events
    if state.num_events >= schedule.first_events and enough_new:
        return Job("first", f"{state.num_events:,} events and no model")
    return None


def _fine_tune_job(state: TrainingState, schedule: Schedule) -> Job | None:
    """A fine-tune of the champion, if one is due."""
    num_new, alarm = state.num_new, state.alarm
    age_ms = state.now_ms - max(record.created_ms for record in state.models)
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
    """How many events had come since the challenger's training when it was last judged; 1 if it never was."""
    trials = challenger.lineage.get("trials", ())
    return max(1, int(trials[-1]["available"])) if trials else 1


def trained_through_ms(record: ModelRecord | None) -> int:
    """The end of a model's training data, exclusive; 0 where it is not known."""
    if record is None:
        return 0
    lineage = record.lineage
    return int(lineage.get("before_ms") or (lineage.get("last_event_ms") or -1) + 1)


def request_training(tx: Transaction, *, kind: JobKind, by: str, reason: str, now_ms: int) -> None:
    """Store a training request for the process that holds the trainer's lease."""
    tx.metadata.save({REQUEST_KEY: json.dumps({"kind": kind, "by": by, "reason": reason, "time_ms": now_ms})})


def requested_training(meta: Mapping[str, str]) -> TrainingRequest | None:
    """The training request that waits in a store's metadata."""
    return TrainingRequest(**json.loads(meta[REQUEST_KEY])) if meta.get(REQUEST_KEY) else None


def unacknowledged_alarm(read: ReadTransaction) -> Alarm | None:
    """The newest alarm since the last training began that is not over and that training may remedy."""
    newest_ms = read.drift.newest_alarm_ms()
    acknowledged_ms = int(read.metadata.all().get(ACKNOWLEDGED_KEY) or -1)
    if newest_ms is None or newest_ms <= acknowledged_ms:
        return None
    alarms = read.drift.alarms(limit=MAX_ALARMS)
    waiting = (alarm for alarm in alarms if alarm.over_ms is None and alarm.detected_ms > acknowledged_ms)
    return next((alarm for alarm in waiting if alarm.signal not in ANSWER_SIGNALS), None)


def acknowledge_alarms(tx: Transaction, newest_alarm_ms: int | None) -> None:
    """Record that a training begins which has read all alarms up to the newest one."""
    if newest_alarm_ms is not None:
        tx.metadata.save({ACKNOWLEDGED_KEY: str(newest_alarm_ms)})
