"""The learning cycle: train a challenger, compare it with what serves and with the baselines, promote or refuse it.

A use case over ports; every training runs through it. Every write is fenced by the trainer's lease, so a process that
has lost the lease changes nothing. The process may be killed between or during these steps without an inconsistency:

    1. one transaction: the task is stored, so that the next trainer resumes it
    2. the challenger's files are written atomically (by the `Trainer`)
    3. one transaction: the challenger is stored, the task is done
    4. one transaction: the verdict and, if there is one, the promotion

`tidewise train` (`train_by_hand`) skips 1. `train_champion`, for the demo and tests, which need a model of any quality,
skips 1 and 4, and promotes the model in 3.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.catalogue.items import Catalogue
from core.clock import Clock
from core.errors import InvalidInput, NotReady
from core.events.history import WindowShape
from core.experiments.manage import unfinished_experiments
from core.learn.baselines import COUNTS, POPULARITY, try_popularity
from core.learn.blended_trial import try_bundles
from core.learn.gate import Verdict, judge
from core.learn.promotion_experiments import (
    DECIDED_BY,
    ExperimentPlan,
    check_experiment,
    end_orphaned,
    start_experiment,
)
from core.learn.tasks import Policy, Task, Trainer, TrainingInput, task_by_hand, task_of
from core.learn.trial import select_slice
from core.learn.triggers import (
    REQUEST_KEY,
    Job,
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
    expired_versions,
    named,
    note,
    promote,
    propose,
    with_status,
)
from core.lease import Lease, NoLease
from core.ports.store import ReadTransaction, Store, Transaction
from core.records.statuses import ModelStatus
from core.records.stored import EventColumns, ModelRecord

logger = logging.getLogger(__name__)

TASK_KEY = "training.task"  # of the metadata: the unfinished task
EMPTY_SLICE = "none of the newest events can be ranked: wanted listed items, of users with earlier events"


@dataclass(frozen=True, slots=True)
class Force:
    """An operator's decision to promote a model whatever the gate says."""

    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrainingByHand:
    """The result of a training by hand. `serving`: the version that serves now; None: no model."""

    record: ModelRecord
    verdict: Verdict
    serving: str | None


@dataclass(frozen=True)
class LearningCycle:
    """The cycle of one trainer.

    `type_codes`: event types that enter the window. `stream`: the topic whose offsets a model's lineage records.
    """

    store: Store
    lease: Lease | NoLease
    trainer: Trainer
    shape: WindowShape
    type_codes: Sequence[int]
    clock: Clock
    policy: Policy
    include_uncatalogued: bool = False
    stream: str = ""

    def run(self, job: Job) -> Verdict | None:
        """Train, judge, promote; None where there is no challenger that the gate could judge."""
        if job.kind == "check":
            return check_experiment(self.store, self.lease, self.policy.experiment or ExperimentPlan(), self.clock)
        if job.kind != "judge":
            self.train(job)
        return self.judge()

    def train(self, job: Job) -> ModelRecord:
        """Train a model and store it as the challenger; an unfinished task is resumed instead of a new one."""
        with self.store.read() as read:
            champion = with_status(read.models.all(), ModelStatus.CHAMPION)
            data = self._training_input(read, self._newest_columns(read))
            task = self._unfinished_task(read, champion) or task_of(job, data.columns, champion, self.policy)
        data = data.of(task)
        self._start_task(task, data.newest_alarm_ms)
        logger.info("training (%s) on %d events: %s", task.kind, len(data.columns), task.reason)
        record = self._trained(task, data, parent=champion if task.kind == "fine-tune" else None)
        with self.lease.transaction() as tx:
            _store(tx, record)
            end_orphaned(tx, now_ms=self.clock.now_ms())
            tx.metadata.save({TASK_KEY: ""})
            tx.commit()
        return record

    def train_by_hand(
        self,
        *,
        reason: str,
        before_ms: int | None = None,
        force: Force | None = None,
        report: Callable[[str], None] = logger.info,
    ) -> TrainingByHand:
        """Train on all events but the newest, judge the model on those, and promote it if it passes, or by `force`.

        `before_ms`: hold out the events from this time on. `report` gets a sentence before each step.
        """
        with self.store.read() as read:
            champion = with_status(read.models.all(), ModelStatus.CHAMPION)
            data = self._training_input(read, read.events.columns(type_codes=self.type_codes))
        task = task_by_hand(data.columns, champion, self.policy, reason=reason)
        task = task if before_ms is None else replace(task, before_ms=before_ms)
        trained = data.of(task)
        num_held_out = len(data.columns) - len(trained.columns)
        report(f"Training on {len(trained.columns):,} events; the {num_held_out:,} newest are held out for the gate.")
        record = self._trained(task, trained, parent=None)
        with self.lease.transaction() as tx:
            _check_new(tx, record)
            propose(tx, record)
            end_orphaned(tx, now_ms=self.clock.now_ms())
            acknowledge_alarms(tx, data.newest_alarm_ms)
            tx.commit()
        report("Comparing the model with what serves and with the baselines on the events held out.")
        judging = replace(self, policy=replace(self.policy, promotes=True, experiment=None))
        verdict = judging.judge(record.version, force=force)
        if verdict is None:
            msg = f"model {record.version} was replaced by another training before it was judged; train again"
            raise NotReady(msg)
        with self.store.read() as read:
            models = read.models.all()
        serving = with_status(models, ModelStatus.CHAMPION)
        return TrainingByHand(named(models, record.version), verdict, serving.version if serving else None)

    def train_champion(self, *, operator: str, reason: str, before_ms: int | None = None) -> ModelRecord:
        """Train a model on all events (before a time) and promote it without the gate, by an operator's decision."""
        task = Task("by hand", before_ms, None, reason)
        with self.store.read() as read:
            columns = read.events.columns(type_codes=self.type_codes, before_ms=before_ms)
            data = self._training_input(read, columns)
        record = self._trained(task, data, parent=None)
        with self.lease.transaction() as tx:
            known = _store(tx, record)
            if known is None or known.status != ModelStatus.CHAMPION:
                now_ms = record.created_ms
                promote(tx, record.version, decided_by=operator, reason=reason, now_ms=now_ms, force=True)
            acknowledge_alarms(tx, data.newest_alarm_ms)
            tx.commit()
        return replace(record, status=ModelStatus.CHAMPION)

    def _training_input(self, read: ReadTransaction, columns: EventColumns) -> TrainingInput:
        catalogue = read.items.catalogue(include_uncatalogued=True)
        return TrainingInput(columns, catalogue, read.offsets.applied(self.stream), read.drift.newest_alarm_ms())

    def _start_task(self, task: Task, newest_alarm_ms: int | None) -> None:
        """Store the task, so that a trainer after a crash resumes it, and acknowledge what led to it."""
        with self.lease.transaction() as tx:
            tx.metadata.save({TASK_KEY: json.dumps(asdict(task)), REQUEST_KEY: ""})
            acknowledge_alarms(tx, newest_alarm_ms)
            tx.commit()

    def _trained(self, task: Task, data: TrainingInput, *, parent: ModelRecord | None) -> ModelRecord:
        """Train; the record with the model's lineage."""
        record = self.trainer.train(task, parent=parent, columns=data.columns, catalogue=data.catalogue)
        return replace(record, lineage={**record.lineage, **task.facts, **data.facts})

    def judge(self, version: str | None = None, *, force: Force | None = None) -> Verdict | None:
        """Compare the challenger with the champion and the baselines on the newest events, and apply the verdict.

        None where there is no challenger, or another one than `version`.
        """
        with self.store.read() as read:
            models, promotions = read.models.all(), read.models.promotions()
            challenger = with_status(models, ModelStatus.CHALLENGER)
            if challenger is None or version not in (None, challenger.version):
                return None
            champions = ancestors(models, promotions, limit=self.policy.anchor_age)
            columns, catalogue = (
                self._newest_columns(read),
                read.items.catalogue(include_uncatalogued=self.include_uncatalogued),
            )
            since_ms = max(trained_through_ms(model) for model in (challenger, *champions[:1], *champions[-1:]))
            available = read.event_counts.total(type_codes=self.type_codes, since_ms=trained_through_ms(challenger))
        champion = champions[0] if champions else None
        anchor = champions[-1] if len(champions) > 1 else None
        verdict = self._verdict(columns, catalogue, since_ms, challenger, champion, anchor)
        logger.info("challenger %s: %s, %s", challenger.version, verdict.outcome, verdict.reason)
        self._apply(challenger, champion, verdict, {"since": since_ms, "available": available}, force)
        self._delete_expired()
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
        held_out = select_slice(
            columns, catalogue, since_ms=since_ms, max_events=policy.max_slice, hide_seen=policy.hide_seen
        )
        if not len(held_out):
            return Verdict("undecided", EMPTY_SLICE, {"events": 0, "users": 0, "compared": []})
        records = [record for record in (challenger, champion, anchor) if record is not None]
        bundles = [self.trainer.load(record) for record in records]
        half_life_ms = policy.half_life_ms
        *models, counts = try_bundles([*bundles, None], held_out, self.shape, half_life_ms=half_life_ms)
        results = {record.version: result for record, result in zip(records, models, strict=True)}
        return judge(
            held_out.users,
            results[challenger.version],
            results[champion.version] if champion else None,
            anchor=results[anchor.version] if anchor else None,
            baselines={POPULARITY: try_popularity(held_out, half_life_ms=half_life_ms), COUNTS: counts},
            rules=policy.rules,
        )

    def _apply(
        self,
        challenger: ModelRecord,
        champion: ModelRecord | None,
        verdict: Verdict,
        facts: Mapping[str, Any],
        force: Force | None,
    ) -> None:
        """Store the verdict and promote, in one transaction; raises `NotReady` if the champion has changed."""
        now_ms = self.clock.now_ms()
        trial = {"time": now_ms, "verdict": verdict.outcome, "reason": verdict.reason, **facts, **verdict.figures}
        trial["champion_version"] = champion.version if champion else None
        with self.lease.transaction() as tx:
            models = tx.models.lock()
            serving = with_status(models, ModelStatus.CHAMPION)
            record = named(models, challenger.version)
            same_champion = (serving.version if serving else None) == trial["champion_version"]
            if record.status != ModelStatus.CHALLENGER:
                msg = f"model {record.version} is {record.status} since another training; start this one again"
                raise NotReady(msg)
            if not same_champion:
                msg = f"challenger {record.version} was judged against a former champion; it is judged again"
                raise NotReady(msg)
            trials = [*record.lineage.get("trials", ()), trial]
            if verdict.outcome == "refuse" and force is None:
                note(tx, record.version, {"trials": trials, "refused": verdict.reason}, status=ModelStatus.REFUSED)
            else:
                note(tx, record.version, {"trials": trials})
            if force is not None:
                promote(tx, record.version, decided_by=force.operator, reason=force.reason, now_ms=now_ms)
            elif verdict.outcome == "promote" and self.policy.experiment is not None and champion is not None:
                note(tx, record.version, start_experiment(tx, champion, record, self.policy.experiment, now_ms=now_ms))
            elif verdict.outcome == "promote" and self.policy.promotes:
                promote(tx, record.version, decided_by=DECIDED_BY, reason=verdict.reason, now_ms=now_ms)
            tx.commit()

    def _delete_expired(self) -> None:
        """Delete the files and vectors of versions that are too old for a rollback."""
        with self.lease.transaction() as tx:
            models, promotions = tx.models.lock(), tx.models.promotions()
            experiments = unfinished_experiments(tx.experiments, now_ms=self.clock.now_ms())
            in_use = {version for experiment in experiments for version in experiment.models}
            expired = expired_versions(models, promotions, keep=self.policy.keep, in_use=in_use)
            for record in expired:
                tx.models.save(replace(record, path=""))
                tx.vectors.delete(record.version)
            tx.commit()
        for record in expired:  # after the commit: no record may point to missing files
            self.trainer.remove(record)

    def _newest_columns(self, read: ReadTransaction) -> EventColumns:
        """The newest events, at most about `max_events` of them."""
        low_ms, high_ms = 0, (read.offsets.newest_event_ms() or 0) + 1
        if read.event_counts.total(type_codes=self.type_codes, since_ms=low_ms) <= self.policy.max_events:
            return read.events.columns(type_codes=self.type_codes)
        while high_ms - low_ms > 1:
            middle_ms = (low_ms + high_ms) // 2
            fits = read.event_counts.total(type_codes=self.type_codes, since_ms=middle_ms) <= self.policy.max_events
            low_ms, high_ms = (low_ms, middle_ms) if fits else (middle_ms, high_ms)
        return read.events.columns(type_codes=self.type_codes, since_ms=high_ms)

    def _unfinished_task(self, read: ReadTransaction, champion: ModelRecord | None) -> Task | None:
        """The task that an earlier trainer did not finish, unless another model has been promoted since."""
        stored = read.metadata.all().get(TASK_KEY)
        if not stored:
            return None
        task = Task(**json.loads(stored))
        serving = champion.version if champion else None
        return task if task.parent in (None, serving) and (task.kind == "first") == (champion is None) else None


def _check_new(tx: Transaction, record: ModelRecord) -> None:
    champion = with_status(tx.models.lock(), ModelStatus.CHAMPION)
    if champion is not None and champion.version == record.version:
        msg = f"model {record.version} serves already: the same events, settings and seed gave the same model"
        raise InvalidInput(msg)


def _store(tx: Transaction, record: ModelRecord) -> ModelRecord | None:
    """Store a model, unless it is stored with its files; returns the record before."""
    known = {model.version: model for model in tx.models.lock()}.get(record.version)
    if known is None or not known.path:
        propose(tx, record)
    return known


def training_state(store: Store, *, type_codes: Sequence[int], now_ms: int) -> TrainingState:
    """The state that `choose_job` decides by; cheap enough to be read every second."""
    with store.read() as read:
        models = read.models.all()
        newest, meta = max((trained_through_ms(model) for model in models), default=0), read.metadata.all()
        champion, challenger = with_status(models, ModelStatus.CHAMPION), with_status(models, ModelStatus.CHALLENGER)
        return TrainingState(
            models=models,
            num_events=0 if champion else read.event_counts.total(type_codes=type_codes, since_ms=0),
            num_new=read.event_counts.total(type_codes=type_codes, since_ms=newest),
            num_since_challenger=read.event_counts.total(
                type_codes=type_codes, since_ms=trained_through_ms(challenger)
            ),
            request=requested_training(meta),
            unfinished=bool(meta.get(TASK_KEY)),
            now_ms=now_ms,
            alarm=unacknowledged_alarm(read),
        )


def next_job(store: Store, *, type_codes: Sequence[int], schedule: Schedule, clock: Clock) -> Job | None:
    """The job that is due, if any."""
    return choose_job(training_state(store, type_codes=type_codes, now_ms=clock.now_ms()), schedule)
