"""The learning cycle: train a challenger, try it against what serves, promote it or keep it with the reason.

A use case over ports. Every write is fenced by the role of the trainer, so a process that lost the role changes nothing
any more. What may be killed at any moment:

    1. the job is noted, with the time before which it learns: the next trainer goes on with the same job
    2. the challenger's files are written, whole or not at all (the trainer's promise)
    3. one transaction: the challenger is stored, the job is done
    4. one transaction: the verdict, and with it the promotion
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from core.clock import DAY_MS, Clock
from core.errors import NotReady
from core.history import WindowShape
from core.items import Catalogue
from core.learn.gate import GateRules, Verdict, judge
from core.learn.trial import TrialResult, slice_of, try_model, try_popularity
from core.learn.triggers import (
    REQUEST_KEY,
    Job,
    JobKind,
    Schedule,
    TrainingState,
    acknowledge_alarms,
    choose_job,
    requested_training,
    trained_through_ms,
    unacknowledged_alarm,
)
from core.learn.versions import (
    ancestors,
    expendable,
    note,
    promote,
    propose,
    with_status,
)
from core.lease import Lease
from core.ports.encoder import ModelBundle
from core.ports.store import ReadTransaction, Store
from core.records import EventColumns, ModelRecord
from core.statuses import ModelStatus

logger = logging.getLogger(__name__)

JOB = "learn.job"  # the fact under which an unfinished job is kept
DECIDED_BY = "the gate"


@dataclass(frozen=True, slots=True)
class Task:
    """One training: what kind, from which parent, and before which time it learns."""

    kind: JobKind
    before_ms: int
    parent: str | None
    reason: str


class Trainer(Protocol):
    """Makes models: `tidewise.training.learning`."""

    def train(
        self, task: Task, *, parent: ModelRecord | None, columns: EventColumns, catalogue: Catalogue
    ) -> ModelRecord:
        """A new model of these events, its files on disk whole. The same task after a crash goes on from there."""
        ...

    def load(self, record: ModelRecord) -> ModelBundle:
        """The bundle of a model; raises `CheckpointError`."""
        ...

    def remove(self, record: ModelRecord) -> None:
        """Delete a model's files, if there are any."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """How careful to be. `slice_share`: of the new events, kept from training for the trial, within bounds.

    `anchor_age`: how many promotions ago the anchor served; `keep`: how many old versions stay on disk. `promotes`:
    False leaves a promotion to an operator, and goes on trying the challenger beside the champion. `max_events`: the
    newest events that are read; older ones are out of view.
    """

    rules: GateRules = field(default_factory=GateRules)
    schedule: Schedule = field(default_factory=Schedule)
    slice_share: float = 0.2
    min_slice: int = 200
    max_slice: int = 5_000
    anchor_age: int = 5
    keep: int = 5
    promotes: bool = True
    hide_seen: bool = True
    half_life_ms: float = 7 * DAY_MS
    max_events: int = 2_000_000


@dataclass(frozen=True)
class LearningCycle:
    """One trainer's work. `type_codes`: of the events that enter the window; `stream`: the log they come by."""

    store: Store
    lease: Lease
    trainer: Trainer
    shape: WindowShape
    type_codes: Sequence[int]
    clock: Clock
    policy: Policy
    include_uncatalogued: bool = False
    stream: str = ""

    def run(self, job: Job) -> Verdict | None:
        """Do a job to its end; None where it could not be judged yet."""
        if job.kind == "judge":
            return self.judge()
        self.train(job)
        return self.judge()

    def train(self, job: Job) -> ModelRecord:
        """Train a challenger and store it; an unfinished job of before is gone on with instead."""
        with self.store.read() as read:
            models = read.models.all()
            champion = with_status(models, ModelStatus.CHAMPION)
            columns, catalogue = self._columns(read), read.items.catalogue(include_uncatalogued=True)
            offsets, newest_alarm_ms = read.offsets.applied(self.stream), read.drift.newest_alarm_ms()
            task = self._unfinished(read, champion) or self._task(job, columns, champion)
        with self.lease.transaction() as tx:
            tx.metadata.save({JOB: json.dumps(asdict(task)), REQUEST_KEY: ""})
            acknowledge_alarms(tx, newest_alarm_ms)
            tx.commit()
        learnt = columns.where(columns.times_ms < task.before_ms)
        logger.info("training (%s) on %d events: %s", task.kind, len(learnt), task.reason)
        record = self.trainer.train(
            task, parent=champion if task.kind == "fine-tune" else None, columns=learnt, catalogue=catalogue
        )
        facts = {**_facts(task), "data_hash": _digest(learnt), "offsets": offsets}
        with self.lease.transaction() as tx:
            if record.version not in {one.version for one in tx.models.lock()}:
                propose(tx, replace(record, lineage={**record.lineage, **facts}))
            tx.metadata.save({JOB: ""})
            tx.commit()
        return record

    def judge(self) -> Verdict | None:
        """Try the waiting challenger on the newest events, and act on the verdict."""
        with self.store.read() as read:
            models, promotions = read.models.all(), read.models.promotions()
            challenger = with_status(models, ModelStatus.CHALLENGER)
            if challenger is None:
                return None
            line = ancestors(models, promotions, limit=self.policy.anchor_age)
            columns, catalogue = (
                self._columns(read),
                read.items.catalogue(include_uncatalogued=self.include_uncatalogued),
            )
            since_ms = max(trained_through_ms(one) for one in (challenger, *line[:1], *line[-1:]))
            available = read.event_counts.total(type_codes=self.type_codes, since_ms=trained_through_ms(challenger))
        champion, anchor = (line[0] if line else None), (line[-1] if len(line) > 1 else None)
        verdict = self._verdict(columns, catalogue, since_ms, challenger, champion, anchor)
        logger.info("challenger %s: %s, %s", challenger.version, verdict.outcome, verdict.reason)
        self._act(challenger, champion, verdict, {"since": since_ms, "available": available})
        self._tidy()
        return verdict

    def _verdict(
        self,
        columns: EventColumns,
        catalogue: Catalogue,
        since_ms: int,
        challenger: ModelRecord,
        champion: ModelRecord | None,
        anchor: ModelRecord | None,
    ) -> Verdict:
        policy = self.policy
        asked = slice_of(columns, catalogue, since_ms=since_ms, max_events=policy.max_slice, hide_seen=policy.hide_seen)
        if not len(asked):
            return Verdict("undecided", "no event of the newest slice can be asked for yet", {"events": 0})

        def trial(record: ModelRecord) -> TrialResult:
            return try_model(self.trainer.load(record), asked, self.shape)

        own = trial(challenger)
        theirs = trial(champion) if champion else try_popularity(asked, half_life_ms=policy.half_life_ms)
        return judge(asked.users, own, theirs, anchor=trial(anchor) if anchor else None, rules=policy.rules)

    def _act(
        self, challenger: ModelRecord, champion: ModelRecord | None, verdict: Verdict, facts: Mapping[str, Any]
    ) -> None:
        """One transaction: the verdict, and what follows from it, unless what serves was changed meanwhile."""
        now_ms = self.clock.now_ms()
        told = {"time": now_ms, "verdict": verdict.outcome, "reason": verdict.reason, **facts, **verdict.figures}
        told["champion_version"] = champion.version if champion else None
        with self.lease.transaction() as tx:
            models = tx.models.lock()
            serving = with_status(models, ModelStatus.CHAMPION)
            record = next(one for one in models if one.version == challenger.version)
            same = (serving.version if serving else None) == told["champion_version"]
            if record.status != ModelStatus.CHALLENGER or not same:
                msg = f"challenger {challenger.version} was judged against what no longer serves; it is judged again"
                raise NotReady(msg)
            trials = [*record.lineage.get("trials", ()), told]
            if verdict.outcome == "refuse":
                note(tx, record.version, {"trials": trials, "refused": verdict.reason}, status=ModelStatus.REFUSED)
            else:
                note(tx, record.version, {"trials": trials})
            if verdict.outcome == "promote" and self.policy.promotes:
                promote(tx, record.version, decided_by=DECIDED_BY, reason=verdict.reason, now_ms=now_ms)
            tx.commit()

    def _tidy(self) -> None:
        """Let go of the files and vectors of versions that nobody would go back to."""
        with self.lease.transaction() as tx:
            gone = expendable(tx.models.lock(), tx.models.promotions(), keep=self.policy.keep)
            for record in gone:
                tx.models.save(replace(record, path=""))
                tx.vectors.delete(record.version)
            tx.commit()
        for record in gone:  # after the commit: no record ever points to files that are gone
            self.trainer.remove(record)

    def _columns(self, read: ReadTransaction) -> EventColumns:
        """The newest events, at most about `max_events` of them."""
        low_ms, high_ms = 0, (read.offsets.newest_event_ms() or 0) + 1
        if read.event_counts.total(type_codes=self.type_codes, since_ms=low_ms) <= self.policy.max_events:
            return read.events.columns(type_codes=self.type_codes)
        while high_ms - low_ms > 1:
            middle_ms = (low_ms + high_ms) // 2
            fits = read.event_counts.total(type_codes=self.type_codes, since_ms=middle_ms) <= self.policy.max_events
            low_ms, high_ms = (low_ms, middle_ms) if fits else (middle_ms, high_ms)
        return read.events.columns(type_codes=self.type_codes, since_ms=high_ms)

    def _task(self, job: Job, columns: EventColumns, champion: ModelRecord | None) -> Task:
        """What to learn: everything but the newest slice, which is kept for the trial."""
        fine_tunes = job.kind == "fine-tune" and champion is not None
        times_ms = np.sort(columns.times_ms)
        new_ms = times_ms[times_ms >= trained_through_ms(champion)]
        policy = self.policy
        held = min(max(policy.min_slice, round(policy.slice_share * len(new_ms))), policy.max_slice, len(new_ms) // 2)
        if held < 1:
            msg = "learning: wanted new events to learn from and to judge by, got none; wait for more"
            raise NotReady(msg)
        kind: JobKind = "fine-tune" if fine_tunes else "retrain" if champion else "first"
        parent = champion.version if champion is not None and fine_tunes else None
        return Task(kind, int(new_ms[-held]), parent, job.reason)

    def _unfinished(self, read: ReadTransaction, champion: ModelRecord | None) -> Task | None:
        """The job that a trainer before did not finish, while it still makes sense."""
        kept = read.metadata.all().get(JOB)
        if not kept:
            return None
        task = Task(**json.loads(kept))
        serving = champion.version if champion else None
        return task if task.parent in (None, serving) and (task.kind == "first") == (champion is None) else None


def _facts(task: Task) -> dict[str, Any]:
    return {"kind": task.kind, "parent": task.parent, "before_ms": task.before_ms, "trigger": task.reason}


def _digest(columns: EventColumns) -> str:
    """Names the events that a model has learnt from."""
    digest = hashlib.blake2b(digest_size=16)
    for column in (columns.users, columns.items, columns.times_ms):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def training_state(store: Store, *, type_codes: Sequence[int], now_ms: int) -> TrainingState:
    """What there is to decide by; cheap enough to be asked for every second."""
    with store.read() as read:
        models = read.models.all()
        newest, meta = max((trained_through_ms(one) for one in models), default=0), read.metadata.all()
        champion, challenger = with_status(models, ModelStatus.CHAMPION), with_status(models, ModelStatus.CHALLENGER)
        return TrainingState(
            models=models,
            num_events=0 if champion else read.event_counts.total(type_codes=type_codes, since_ms=0),
            num_new=read.event_counts.total(type_codes=type_codes, since_ms=newest),
            num_since_challenger=read.event_counts.total(
                type_codes=type_codes, since_ms=trained_through_ms(challenger)
            ),
            request=requested_training(meta),
            unfinished=bool(meta.get(JOB)),
            now_ms=now_ms,
            alarm=unacknowledged_alarm(read),
        )


def next_job(store: Store, *, type_codes: Sequence[int], schedule: Schedule, clock: Clock) -> Job | None:
    """What is due, if anything."""
    return choose_job(training_state(store, type_codes=type_codes, now_ms=clock.now_ms()), schedule)
