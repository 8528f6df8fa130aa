"""The learning cycle: what is written when, what a killed or dispossessed trainer leaves behind, what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, AxisBundle, AxisEncoder, crown, event, ingestor
from doubles import MemoryStore

from core.clock import ManualClock
from core.drift.records import Alarm
from core.errors import LeaseLost, NotReady
from core.ingestion.sources import RequestSource
from core.items import Catalogue, Item
from core.learn.cycle import JOB, LearningCycle, Policy, Task, next_job
from core.learn.gate import GateRules
from core.learn.triggers import Job, Schedule, request_training
from core.learn.versions import promote
from core.lease import Lease
from core.manage import save_items
from core.records import EventColumns, ModelRecord

NUM_ITEMS, NUM_USERS, NUM_DAYS = 12, 40, 12
JOB_DUE = Job("fine-tune", "a test")
CODES = TYPES.flagged("window")


class Forward(AxisBundle):
    """Knows what the users of this shop do next: they go on by `step` rows, or it is wrong about it."""

    def __init__(self, version: str, *, step: int) -> None:
        super().__init__(version, window=SHAPE)
        self.step = step

    def bind(self, catalogue: Catalogue) -> AxisEncoder:
        encoder = super().bind(catalogue)
        plain = encoder.encode
        encoder.encode = lambda histories: np.roll(plain(histories), self.step - 1, axis=1)  # type: ignore[method-assign]
        return encoder


@dataclass
class AxisTrainer:
    """Makes the models that a test wants; may be killed before a model is there."""

    steps: Iterator[int]
    tasks: list[Task] = field(default_factory=list)
    learnt: list[EventColumns] = field(default_factory=list)
    models: dict[str, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    before: Callable[[], object] = lambda: None

    def train(
        self, task: Task, *, parent: ModelRecord | None, columns: EventColumns, catalogue: Catalogue
    ) -> ModelRecord:
        self.tasks.append(task)
        self.learnt.append(columns)
        self.before()
        version = f"m{len(self.models)}"
        self.models[version] = next(self.steps)
        return ModelRecord(version, f"models/{version}", "challenger", NOW_MS + len(self.models), {"seed": 1})

    def load(self, record: ModelRecord) -> Forward:
        return Forward(record.version, step=self.models.get(record.version, 1))

    def remove(self, record: ModelRecord) -> None:
        self.removed.append(record.version)


class TrialResult:
    """A shop in which everybody goes from each item to the next one, a trainer and its role."""

    def __init__(self, *steps: int, **policy: Any) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(NOW_MS)
        save_items(self.store, [Item(f"i{number:02}") for number in range(NUM_ITEMS)], clock=self.clock)
        self.days = 0
        self.goes_on(NUM_DAYS)
        self.trainer = AxisTrainer(iter(steps))
        policy = {"rules": GateRules(min_events=20), "min_slice": 50, "hide_seen": False, **policy}
        self.cycle = LearningCycle(
            store=self.store,
            lease=Lease(self.store, "trainer", holder="this test"),
            trainer=self.trainer,
            shape=SHAPE,
            type_codes=CODES,
            clock=self.clock,
            policy=Policy(**policy),
        )
        assert self.cycle.lease.hold()

    def goes_on(self, num_days: int) -> None:
        last = self.days + num_days
        events = [
            event(f"u{user}", f"i{(user + day) % NUM_ITEMS:02}", day * 1000 + user)
            for day in range(self.days, last)
            for user in range(NUM_USERS)
        ]
        ingestor(self.store).ingest(events, RequestSource("test"))
        self.days = last

    def statuses(self) -> dict[str, str]:
        with self.store.read() as read:
            return {record.version: record.status for record in read.models.all()}

    def lineage(self, version: str) -> dict[str, Any]:
        with self.store.read() as read:
            return dict(next(one.lineage for one in read.models.all() if one.version == version))

    def facts(self) -> dict[str, str]:
        with self.store.read() as read:
            return read.metadata.all()


def outcome(trial: TrialResult) -> str | None:
    verdict = trial.cycle.run(JOB_DUE)
    return verdict.outcome if verdict else None


def test_a_first_model_that_knows_more_than_popularity_serves() -> None:
    trial = TrialResult(1)
    assert outcome(trial) == "promote"
    assert trial.statuses() == {"m0": "champion"}
    told = trial.lineage("m0")
    assert (told["kind"], told["parent"], told["trigger"]) == ("first", None, "a test")
    assert told["trials"][0]["verdict"] == "promote"
    assert told["trials"][0]["champion_version"] is None
    with trial.store.read() as read:
        assert [(one.version, one.decided_by) for one in read.models.promotions()] == [("m0", "the gate")]


def test_a_first_model_that_knows_less_is_refused_and_kept_with_the_reason() -> None:
    trial = TrialResult(2)
    assert outcome(trial) == "refuse"
    assert trial.statuses() == {"m0": "refused"}
    assert "against the champion -" in trial.lineage("m0")["refused"]


def test_the_newest_events_are_kept_from_training_and_nothing_later_is_learnt() -> None:
    trial = TrialResult(1)
    trial.cycle.train(JOB_DUE)
    (task,), (learnt,) = trial.trainer.tasks, trial.trainer.learnt
    assert learnt.times_ms.max() < task.before_ms
    assert len(learnt) == NUM_USERS * NUM_DAYS - 96  # a fifth is held out
    assert trial.lineage("m0")["before_ms"] == task.before_ms


def test_a_fine_tune_begins_at_the_champion_and_is_judged_on_what_neither_has_learnt() -> None:
    trial = TrialResult(1, 1)
    outcome(trial)
    trial.goes_on(8)
    assert outcome(trial) == "promote"
    assert [(task.kind, task.parent) for task in trial.trainer.tasks] == [("first", None), ("fine-tune", "m0")]
    assert trial.lineage("m1")["trials"][0]["since"] == trial.trainer.tasks[1].before_ms
    assert trial.statuses() == {"m1": "champion", "m0": "retired"}


def test_a_worse_fine_tune_leaves_the_champion_serving() -> None:
    trial = TrialResult(1, 5)
    outcome(trial)
    trial.goes_on(8)
    assert outcome(trial) == "refuse"
    assert trial.statuses() == {"m1": "refused", "m0": "champion"}


def test_an_undecided_challenger_waits_and_is_judged_again_on_the_grown_slice() -> None:
    trial = TrialResult(1, rules=GateRules(min_events=150))
    assert outcome(trial) == "undecided"
    trial.goes_on(8)
    assert trial.cycle.run(Job("judge", "more events")).outcome == "promote"  # type: ignore[union-attr]
    assert [told["verdict"] for told in trial.lineage("m0")["trials"]] == ["undecided", "promote"]
    assert len(trial.trainer.tasks) == 1


def test_where_an_operator_decides_a_challenger_is_tried_beside_the_champion_and_not_promoted() -> None:
    trial = TrialResult(1, promotes=False)
    assert outcome(trial) == "promote"
    trial.goes_on(4)
    trial.cycle.judge()
    assert trial.statuses() == {"m0": "challenger"}
    assert len(trial.lineage("m0")["trials"]) == 2


def test_a_trainer_that_is_killed_while_it_trains_leaves_a_job_that_the_next_one_goes_on_with() -> None:
    trial = TrialResult(1, 1)

    def killed() -> None:
        raise KeyboardInterrupt

    trial.trainer.before = killed
    with pytest.raises(KeyboardInterrupt):
        trial.cycle.run(JOB_DUE)
    assert trial.statuses() == {}
    trial.goes_on(3)
    trial.trainer.before = lambda: None
    job = next_job(trial.store, type_codes=CODES, schedule=Schedule(), clock=trial.clock)
    assert job is not None
    assert trial.cycle.run(job) is not None
    first, second = trial.trainer.tasks
    assert first == second
    assert trial.facts()[JOB] == ""


def test_an_unfinished_job_of_another_champion_is_not_gone_on_with() -> None:
    trial = TrialResult(1, 1, 1)
    outcome(trial)
    trial.goes_on(8)
    stale = Task("fine-tune", 5, "somebody", "long ago")
    with trial.store.transaction() as tx:
        tx.metadata.save({JOB: '{"kind": "fine-tune", "before_ms": 5, "parent": "somebody", "reason": "long ago"}'})
        tx.commit()
    trial.cycle.train(JOB_DUE)
    assert trial.trainer.tasks[-1] != stale
    assert trial.trainer.tasks[-1].parent == "m0"


def test_a_trainer_that_lost_its_role_changes_nothing() -> None:
    trial = TrialResult(1)
    trial.cycle.train(JOB_DUE)
    lost = Lease(trial.store, "trainer", holder="lost", ttl_ms=0)
    trial.cycle.lease.release()
    assert lost.hold()
    assert Lease(trial.store, "trainer", holder="new").hold()
    with pytest.raises(LeaseLost):
        replace(trial.cycle, lease=lost).judge()
    assert trial.statuses() == {"m0": "challenger"}


def test_a_verdict_about_a_champion_that_no_longer_serves_is_given_up() -> None:
    trial = TrialResult(1, 1)
    outcome(trial)
    trial.goes_on(8)
    crown_other = trial.trainer.load

    def meanwhile(record: ModelRecord) -> Forward:
        if "other" not in trial.statuses():
            crown(trial.store, "other")
        return crown_other(record)

    trial.trainer.load = meanwhile  # type: ignore[method-assign]
    with pytest.raises(NotReady, match="judged against what no longer serves"):
        trial.cycle.run(JOB_DUE)
    assert trial.statuses()["m1"] == "challenger"
    assert trial.statuses()["other"] == "champion"


def test_files_of_versions_that_nobody_would_go_back_to_are_removed_and_their_records_stay() -> None:
    trial = TrialResult(*[1] * 6, keep=2)
    for _ in range(6):
        outcome(trial)
        trial.goes_on(8)
    assert trial.trainer.removed == ["m0", "m1", "m2"]
    assert len(trial.statuses()) == 6
    with trial.store.read() as read:
        assert {one.version for one in read.models.all() if not one.path} == {"m0", "m1", "m2"}


def test_a_wish_is_fulfilled_once() -> None:
    trial = TrialResult(1)
    with trial.store.transaction() as tx:
        request_training(tx, kind="fine-tune", by="somebody", reason="", now_ms=1)
        tx.commit()
    job = next_job(trial.store, type_codes=CODES, schedule=Schedule(), clock=trial.clock)
    assert job is not None
    trial.cycle.run(job)
    assert next_job(trial.store, type_codes=CODES, schedule=Schedule(), clock=trial.clock) is None


def test_an_alarm_is_answered_by_one_fine_tune_whose_lineage_names_it() -> None:
    trial = TrialResult(1, 1)
    outcome(trial)
    trial.goes_on(8)
    with trial.store.transaction() as tx:
        tx.drift.save_alarms([Alarm("loss//9", "loss", "", 9, 8, 1.0, 2.0, "more of Tea")])
        tx.commit()
    trial.clock.advance(by_ms=1_000)
    schedule = Schedule(min_new_events=10, drift_pause_ms=900)
    job = next_job(trial.store, type_codes=CODES, schedule=schedule, clock=trial.clock)
    assert job is not None
    assert trial.cycle.run(job).outcome == "promote"  # type: ignore[union-attr]
    assert trial.lineage("m1")["trigger"] == "drift of loss: more of Tea"
    assert next_job(trial.store, type_codes=CODES, schedule=schedule, clock=trial.clock) is None


def test_only_the_newest_events_are_read_where_there_are_more_than_fit() -> None:
    trial = TrialResult(1, max_events=NUM_USERS * 4)
    trial.cycle.train(JOB_DUE)
    assert len(trial.trainer.learnt[0]) < NUM_USERS * 4


def test_an_operators_promotion_beats_a_waiting_verdict() -> None:
    trial = TrialResult(1, promotes=False)
    outcome(trial)
    with trial.store.transaction() as tx:
        promote(tx, "m0", decided_by="operator", reason="", now_ms=1)
        tx.commit()
    assert trial.cycle.judge() is None
