"""Training tasks: what one training reads, and which of the newest events it holds out for the gate.

Independent of networks, of the store and of verdicts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from core.arrays import IntArray
from core.catalogue.items import Catalogue
from core.clock import DAY_MS
from core.errors import NotReady
from core.learn.gate import GateRules
from core.learn.promotion_experiments import ExperimentPlan
from core.learn.triggers import Job, JobKind, Schedule, trained_through_ms
from core.ports.encoder import ModelBundle
from core.records.stored import EventColumns, ModelRecord


@dataclass(frozen=True, slots=True)
class Policy:
    """What is held out, kept and promoted.

    `slice_share`: the share of new events held out for the trial, within `min_slice` and `max_slice`. `anchor_age`:
    how many promotions ago the anchor served. `keep`: how many old versions stay on disk. `promotes`: False leaves
    promotions to an operator. `experiment`: the winner against a champion is tested by it first. `max_events`: how many
    of the newest events are read.
    """

    rules: GateRules = field(default_factory=GateRules)
    schedule: Schedule = field(default_factory=Schedule)
    slice_share: float = 0.2
    min_slice: int = 200
    max_slice: int = 5_000
    anchor_age: int = 5
    keep: int = 5
    promotes: bool = True
    experiment: ExperimentPlan | None = None
    hide_seen: bool = True
    half_life_ms: float = 7 * DAY_MS
    max_events: int = 2_000_000


@dataclass(frozen=True, slots=True)
class Task:
    """One training: its kind, its parent, and the time before which it reads events (None: all events)."""

    kind: JobKind
    before_ms: int | None
    parent: str | None
    reason: str

    @property
    def facts(self) -> dict[str, Any]:
        """What the lineage of its model records."""
        return {"kind": self.kind, "parent": self.parent, "before_ms": self.before_ms, "trigger": self.reason}


@dataclass(frozen=True, slots=True)
class TrainingInput:
    """What a training reads from the store. `offsets`: the applied ones, by partition."""

    columns: EventColumns
    catalogue: Catalogue
    offsets: Mapping[int, int]
    newest_alarm_ms: int | None

    def of(self, task: Task) -> TrainingInput:
        """The events that a task trains on."""
        if task.before_ms is None:
            return self
        return replace(self, columns=self.columns.where(self.columns.times_ms < task.before_ms))

    @property
    def facts(self) -> dict[str, Any]:
        """What the lineage of a model records."""
        facts = {"data_hash": digest_of(self.columns), "offsets": self.offsets}
        return facts if self.newest_alarm_ms is None else facts | {"alarms_through_ms": self.newest_alarm_ms}


class Trainer(Protocol):
    """Trains and loads models; implemented by `tidewise.training.learning`."""

    def train(
        self, task: Task, *, parent: ModelRecord | None, columns: EventColumns, catalogue: Catalogue
    ) -> ModelRecord:
        """Train on these events and write the model's files; the same task resumes after a crash."""
        ...

    def load(self, record: ModelRecord) -> ModelBundle:
        """The bundle of a model; raises `CheckpointError`."""
        ...

    def remove(self, record: ModelRecord) -> None:
        """Delete a model's files, if there are any."""
        ...


def task_of(job: Job, columns: EventColumns, champion: ModelRecord | None, policy: Policy) -> Task:
    """The task of a job: training on everything but the newest slice of the events that are new to the champion."""
    fine_tunes = job.kind == "fine-tune" and champion is not None
    times_ms = np.sort(columns.times_ms)
    new_ms = times_ms[times_ms >= trained_through_ms(champion)]
    before_ms = _slice_start(new_ms, policy)
    if before_ms is None:
        msg = "learning: wanted new events to train on and to judge by, got none; wait for more"
        raise NotReady(msg)
    kind: JobKind = "fine-tune" if fine_tunes else "retrain" if champion else "first"
    parent = champion.version if champion is not None and fine_tunes else None
    return Task(kind, before_ms, parent, job.reason)


def task_by_hand(columns: EventColumns, champion: ModelRecord | None, policy: Policy, *, reason: str) -> Task:
    """The task of a training by hand: all events but the newest slice.

    Where the champion has learnt from a part of that slice, the rest is held out, if it is at least `min_slice` events.
    """
    times_ms = np.sort(columns.times_ms)
    before_ms, learnt_ms = _slice_start(times_ms, policy), trained_through_ms(champion)
    if before_ms is not None and np.count_nonzero(times_ms >= learnt_ms) >= policy.min_slice:
        before_ms = max(before_ms, learnt_ms)
    return Task("by hand", before_ms, None, reason)


def _slice_start(times_ms: IntArray, policy: Policy) -> int | None:
    """The first time of the newest slice of events in time order; None if they are too few to hold any out."""
    size = max(policy.min_slice, round(policy.slice_share * len(times_ms)))
    size = min(size, policy.max_slice, len(times_ms) // 2)
    return int(times_ms[-size]) if size else None


def digest_of(columns: EventColumns) -> str:
    """A hash of the events that a model was trained on."""
    digest = hashlib.blake2b(digest_size=16)
    for column in (columns.users, columns.items, columns.times_ms):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
