"""The learning cycle: promotions, refusals, crashes, lost leases, operators, and files that are deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, AxisBundle, AxisEncoder, crown, event, ingestor
from doubles import MemoryStore

from core.catalogue.items import Catalogue, Item
from core.clock import ManualClock
from core.errors import InvalidInput, LeaseLost, NotReady
from core.ingestion.sources import RequestSource
from core.learn.cycle import TASK_KEY, Force, LearningCycle, TrainingByHand, next_job
from core.learn.gate import GateRules
from core.learn.tasks import Policy, Task
from core.learn.triggers import Job, Schedule, request_training
from core.learn.versions import promote, propose
from core.lease import Lease, NoLease
from core.manage import save_items
from core.ports.encoder import EncodedItems
from core.records.drift import Alarm
from core.records.statuses import ModelStatus
from core.records.stored import EventColumns, ModelRecord

NUM_ITEMS, NUM_USERS, NUM_DAYS = 12, 40, 12
JOB_DUE = Job("fine-tune", "a test")
CODES = TYPES.flagged("window")


class Forward(AxisBundle):
    """A model that predicts that users of this shop go on by `step` rows."""

    def __init__(self, version: str, *, step: int) -> None:
        super().__init__(version, window=SHAPE)
        self.step = step

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> AxisEncoder:
        encoder = super().bind(catalogue, encoded=encoded)
        plain = encoder.encode
        encoder.encode = lambda histories: np.roll(plain(histories), self.step - 1, axis=1)  # type: ignore[method-assign]
        return encoder


@dataclass
class AxisTrainer:
    """Makes models with the given steps; `before` runs first and may raise."""

    steps: Iterator[int]
    tasks: list[Task] = field(default_factory=list)
    columns: list[EventColumns] = field(default_factory=list)
    models: dict[str, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    before: Callable[[], object] = lambda: None

    def train(
        self, task: Task, *, parent: ModelRecord | None, columns: EventColumns, catalogue: Catalogue
    ) -> ModelRecord:
        self.tasks.append(task)
        self.columns.append(columns)
        self.before()
        version = f"m{len(self.models)}"
        self.models[version] = next(self.steps)
        return ModelRecord(
            version,
            f"models/{version}",
            "challenger",
            NOW_MS + len(self.models),
            {"last_event_ms": int(columns.times_ms.max())},
        )

    def load(self, record: ModelRecord) -> Forward:
        return Forward(record.version, step=self.models.get(record.version, 1))

    def remove(self, record: ModelRecord) -> None:
        self.removed.append(record.version)


class LearningShop:
    """A shop whose users go from each item to the next, a trainer and its lease."""

    def __init__(self, *steps: int, **policy: Any) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(NOW_MS)
        save_items(self.store, [Item(f"i{number:02}") for number in range(NUM_ITEMS)], clock=self.clock)
        self.days = 0
        self.add_days(NUM_DAYS)
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

    def add_days(self, num_days: int) -> None:
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
            return dict(next(model.lineage for model in read.models.all() if model.version == version))

    def metadata(self) -> dict[str, str]:
        with self.store.read() as read:
            return read.metadata.all()


def outcome(shop: LearningShop) -> str | None:
    verdict = shop.cycle.run(JOB_DUE)
    return verdict.outcome if verdict else None


def test_a_first_model_better_than_popularity_is_promoted() -> None:
    shop = LearningShop(1)
    assert outcome(shop) == "promote"
    assert shop.statuses() == {"m0": "champion"}
    lineage = shop.lineage("m0")
    assert (lineage["kind"], lineage["parent"], lineage["trigger"]) == ("first", None, "a test")
    assert lineage["trials"][0]["verdict"] == "promote"
    assert lineage["trials"][0]["champion_version"] is None
    compared = {line["name"]: line["ndcg_10"]["mean"] for line in lineage["trials"][0]["compared"]}
    assert list(compared) == ["challenger", "popularity", "transition counts"]
    assert compared["challenger"] == 1.0 > compared["popularity"]
    with shop.store.read() as read:
        assert [(promotion.version, promotion.decided_by) for promotion in read.models.promotions()] == [
            ("m0", "the gate")
        ]


def test_a_first_model_worse_than_popularity_is_refused_with_a_reason() -> None:
    shop = LearningShop(2)
    assert outcome(shop) == "refuse"
    assert shop.statuses() == {"m0": "refused"}
    assert "against popularity -" in shop.lineage("m0")["refused"]
    assert "against transition counts -" in shop.lineage("m0")["refused"]


def test_the_newest_events_are_held_out_from_training() -> None:
    shop = LearningShop(1)
    shop.cycle.train(JOB_DUE)
    (task,), (columns,) = shop.trainer.tasks, shop.trainer.columns
    assert columns.times_ms.max() < task.before_ms
    assert len(columns) == NUM_USERS * NUM_DAYS - 96  # a fifth is held out
    assert shop.lineage("m0")["before_ms"] == task.before_ms


def test_a_fine_tune_is_judged_on_events_unseen_by_both_models() -> None:
    shop = LearningShop(1, 1)
    outcome(shop)
    shop.add_days(8)
    assert outcome(shop) == "promote"
    assert [(task.kind, task.parent) for task in shop.trainer.tasks] == [("first", None), ("fine-tune", "m0")]
    assert shop.lineage("m1")["trials"][0]["since"] == shop.trainer.tasks[1].before_ms
    assert shop.statuses() == {"m1": "champion", "m0": "retired"}


def test_a_worse_fine_tune_leaves_the_champion_serving() -> None:
    shop = LearningShop(1, 5)
    outcome(shop)
    shop.add_days(8)
    assert outcome(shop) == "refuse"
    assert shop.statuses() == {"m1": "refused", "m0": "champion"}


def test_an_undecided_challenger_is_judged_again_on_a_larger_slice() -> None:
    shop = LearningShop(1, rules=GateRules(min_events=150))
    assert outcome(shop) == "undecided"
    shop.add_days(8)
    assert shop.cycle.run(Job("judge", "more events")).outcome == "promote"  # type: ignore[union-attr]
    assert [trial["verdict"] for trial in shop.lineage("m0")["trials"]] == ["undecided", "promote"]
    assert len(shop.trainer.tasks) == 1


def test_a_policy_without_promotions_judges_but_does_not_promote() -> None:
    shop = LearningShop(1, promotes=False)
    assert outcome(shop) == "promote"
    shop.add_days(4)
    shop.cycle.judge()
    assert shop.statuses() == {"m0": "challenger"}
    assert len(shop.lineage("m0")["trials"]) == 2


def test_the_next_trainer_resumes_the_task_of_a_killed_one() -> None:
    shop = LearningShop(1, 1)

    def killed() -> None:
        raise KeyboardInterrupt

    shop.trainer.before = killed
    with pytest.raises(KeyboardInterrupt):
        shop.cycle.run(JOB_DUE)
    assert shop.statuses() == {}
    shop.add_days(3)
    shop.trainer.before = lambda: None
    job = next_job(shop.store, type_codes=CODES, schedule=Schedule(), clock=shop.clock)
    assert job is not None
    assert shop.cycle.run(job) is not None
    first, second = shop.trainer.tasks
    assert first == second
    assert shop.metadata()[TASK_KEY] == ""


def test_an_unfinished_task_of_another_champion_is_dropped() -> None:
    shop = LearningShop(1, 1, 1)
    outcome(shop)
    shop.add_days(8)
    stale = Task("fine-tune", 5, "somebody", "long ago")
    with shop.store.transaction() as tx:
        tx.metadata.save(
            {TASK_KEY: '{"kind": "fine-tune", "before_ms": 5, "parent": "somebody", "reason": "long ago"}'}
        )
        tx.commit()
    shop.cycle.train(JOB_DUE)
    assert shop.trainer.tasks[-1] != stale
    assert shop.trainer.tasks[-1].parent == "m0"


def test_a_trainer_that_lost_its_lease_changes_nothing() -> None:
    shop = LearningShop(1)
    shop.cycle.train(JOB_DUE)
    lost = Lease(shop.store, "trainer", holder="lost", ttl_ms=0)
    shop.cycle.lease.release()
    assert lost.hold()
    assert Lease(shop.store, "trainer", holder="new").hold()
    with pytest.raises(LeaseLost):
        replace(shop.cycle, lease=lost).judge()
    assert shop.statuses() == {"m0": "challenger"}


def test_a_verdict_against_a_former_champion_is_discarded() -> None:
    shop = LearningShop(1, 1)
    outcome(shop)
    shop.add_days(8)
    crown_other = shop.trainer.load

    def meanwhile(record: ModelRecord) -> Forward:
        if "other" not in shop.statuses():
            crown(shop.store, "other")
        return crown_other(record)

    shop.trainer.load = meanwhile  # type: ignore[method-assign]
    with pytest.raises(NotReady, match="judged against a former champion"):
        shop.cycle.run(JOB_DUE)
    assert shop.statuses()["m1"] == "challenger"
    assert shop.statuses()["other"] == "champion"


def test_a_challenger_that_another_training_superseded_is_named_so() -> None:
    shop = LearningShop(1, 1)
    outcome(shop)
    shop.add_days(8)
    load = shop.trainer.load

    def meanwhile(record: ModelRecord) -> Forward:
        with shop.store.transaction() as tx:
            newest = {model.version: model for model in tx.models.lock()}.get("m1")
            if newest is not None:
                tx.models.save(replace(newest, status=ModelStatus.SUPERSEDED))
                tx.commit()
        return load(record)

    shop.trainer.load = meanwhile  # type: ignore[method-assign]
    with pytest.raises(NotReady, match="model m1 is superseded since another training; start this one again"):
        shop.cycle.run(JOB_DUE)


def test_files_of_expired_versions_are_deleted_and_records_stay() -> None:
    shop = LearningShop(*[1] * 6, keep=2)
    for _ in range(6):
        outcome(shop)
        shop.add_days(8)
    assert shop.trainer.removed == ["m0", "m1", "m2"]
    assert len(shop.statuses()) == 6
    with shop.store.read() as read:
        assert {model.version for model in read.models.all() if not model.path} == {"m0", "m1", "m2"}


def test_a_requested_training_runs_once() -> None:
    shop = LearningShop(1)
    with shop.store.transaction() as tx:
        request_training(tx, kind="fine-tune", by="somebody", reason="", now_ms=1)
        tx.commit()
    job = next_job(shop.store, type_codes=CODES, schedule=Schedule(), clock=shop.clock)
    assert job is not None
    shop.cycle.run(job)
    assert next_job(shop.store, type_codes=CODES, schedule=Schedule(), clock=shop.clock) is None


def test_an_alarm_starts_one_fine_tune_whose_lineage_names_it() -> None:
    shop = LearningShop(1, 1)
    outcome(shop)
    shop.add_days(8)
    with shop.store.transaction() as tx:
        tx.drift.save_alarms([Alarm("loss//9", "loss", "", 9, 8, 1.0, 2.0, 1.8, 2.2, "more of Tea")])
        tx.commit()
    shop.clock.advance(by_ms=1_000)
    schedule = Schedule(min_new_events=10, drift_pause_ms=900)
    job = next_job(shop.store, type_codes=CODES, schedule=schedule, clock=shop.clock)
    assert job is not None
    assert shop.cycle.run(job).outcome == "promote"  # type: ignore[union-attr]
    assert shop.lineage("m1")["trigger"] == "drift of loss: more of Tea"
    assert next_job(shop.store, type_codes=CODES, schedule=schedule, clock=shop.clock) is None


def test_only_the_newest_max_events_are_read() -> None:
    shop = LearningShop(1, max_events=NUM_USERS * 4)
    shop.cycle.train(JOB_DUE)
    assert len(shop.trainer.columns[0]) < NUM_USERS * 4


def test_a_challenger_promoted_by_an_operator_is_not_judged() -> None:
    shop = LearningShop(1, promotes=False)
    outcome(shop)
    with shop.store.transaction() as tx:
        promote(tx, "m0", decided_by="operator", reason="", now_ms=1)
        tx.commit()
    assert shop.cycle.judge() is None


def by_hand(shop: LearningShop, **options: Any) -> TrainingByHand:
    """A training by hand, which needs no lease."""
    return replace(shop.cycle, lease=NoLease(shop.store)).train_by_hand(reason="by hand", **options)


def test_a_good_model_trained_by_hand_serves() -> None:
    shop, sentences = LearningShop(1, promotes=False), list[str]()
    training = by_hand(shop, report=sentences.append)
    assert (training.verdict.outcome, training.serving, training.record.status) == ("promote", "m0", "champion")
    assert sentences[0] == "Training on 384 events; the 96 newest are held out for the gate."
    assert len(shop.trainer.columns[0]) == 384
    assert shop.trainer.columns[0].times_ms.max() < shop.lineage("m0")["before_ms"]
    with shop.store.read() as read:
        assert [promotion.decided_by for promotion in read.models.promotions()] == ["the gate"]


def test_a_model_trained_by_hand_below_the_baselines_does_not_serve() -> None:
    shop = LearningShop(2)
    training = by_hand(shop)
    assert (training.verdict.outcome, training.serving, training.record.status) == ("refuse", None, "refused")
    lines = shop.lineage("m0")["trials"][0]["compared"]
    assert {line["name"]: line["outcome"] for line in lines[1:]} == {
        "popularity": "refuse",
        "transition counts": "refuse",
    }


def test_force_promotes_a_worse_model_and_records_who_decided() -> None:
    shop = LearningShop(2)
    training = by_hand(shop, force=Force("somebody", "the launch is today"))
    assert (training.verdict.outcome, training.serving, training.record.status) == ("refuse", "m0", "champion")
    assert shop.lineage("m0")["trials"][0]["verdict"] == "refuse"
    with shop.store.read() as read:
        (promotion,) = read.models.promotions()
    assert (promotion.decided_by, promotion.reason) == ("somebody", "the launch is today")


def test_a_training_by_hand_is_compared_with_the_champion_too() -> None:
    shop = LearningShop(1, 5)
    by_hand(shop)
    shop.add_days(8)
    training = by_hand(shop)
    assert (training.verdict.outcome, training.serving) == ("refuse", "m0")
    assert [line["name"] for line in shop.lineage("m1")["trials"][0]["compared"]] == [
        "challenger",
        "champion",
        "popularity",
        "transition counts",
    ]


def test_another_training_without_new_events_holds_out_the_same_slice() -> None:
    shop = LearningShop(1, 1)
    by_hand(shop)
    assert by_hand(shop).verdict.outcome == "promote"
    first, second = shop.trainer.tasks
    assert first.before_ms == second.before_ms


def test_where_the_champion_knows_the_newest_events_the_gate_needs_more() -> None:
    shop = LearningShop(1, 1)
    shop.cycle.train_champion(operator="somebody", reason="a test")  # trained on all events
    training = by_hand(shop)
    assert (training.verdict.outcome, training.record.status, training.serving) == ("undecided", "challenger", "m0")
    assert "none of the newest events can be ranked" in training.verdict.reason


def test_events_from_the_given_time_on_are_held_out() -> None:
    shop = LearningShop(1)
    with shop.store.read() as read:
        times_ms = np.sort(read.events.columns(type_codes=CODES).times_ms)
    training = by_hand(shop, before_ms=int(times_ms[NUM_USERS * 6]))
    assert len(shop.trainer.columns[0]) == NUM_USERS * 6
    assert training.record.lineage["trials"][0]["events"] == NUM_USERS * (NUM_DAYS - 6)


def test_a_training_by_hand_judges_no_model_but_its_own() -> None:
    """Meanwhile the trainer has stored a newer challenger."""
    shop = LearningShop(1)

    def replaced(sentence: str) -> None:
        if sentence.startswith("Comparing"):
            newer = ModelRecord("newer", "models/newer", "challenger", NOW_MS + 99)
            with shop.store.transaction() as tx:
                propose(tx, newer)
                tx.commit()

    with pytest.raises(NotReady, match="m0 was replaced by another training"):
        by_hand(shop, report=replaced, force=Force("somebody", ""))
    assert shop.statuses() == {"newer": "challenger", "m0": "superseded"}


def test_the_champion_trained_again_is_an_error() -> None:
    shop = LearningShop(1, 1)
    by_hand(shop)
    shop.trainer.models.clear()  # the next one is m0 again
    with pytest.raises(InvalidInput, match="m0 serves already"):
        by_hand(shop)
    assert shop.statuses() == {"m0": "champion"}


def test_an_operator_bypasses_the_gate_and_needs_no_lease() -> None:
    shop = LearningShop(2)  # a model that the gate would refuse
    operator_cycle = replace(shop.cycle, lease=NoLease(shop.store))
    operator_cycle.train_champion(operator="somebody", reason="a test")
    assert shop.statuses() == {"m0": "champion"}
    assert len(shop.trainer.columns[0]) == NUM_USERS * NUM_DAYS  # none is held out
    lineage = shop.lineage("m0")
    assert (lineage["kind"], lineage["before_ms"], lineage["trigger"]) == ("by hand", None, "a test")
    with shop.store.read() as read:
        assert [promotion.decided_by for promotion in read.models.promotions()] == ["somebody"]


def test_an_operators_training_reads_all_events_before_a_time() -> None:
    shop = LearningShop(1, max_events=1)
    with shop.store.read() as read:
        times_ms = np.sort(read.events.columns(type_codes=CODES).times_ms)
    before_ms = int(times_ms[NUM_USERS * 3])
    record = shop.cycle.train_champion(operator="somebody", reason="a test", before_ms=before_ms)
    assert (record.status, record.lineage["before_ms"]) == ("champion", before_ms)
    assert len(shop.trainer.columns[0]) == NUM_USERS * 3


def test_an_operators_training_leaves_an_unfinished_task_to_the_trainer() -> None:
    shop = LearningShop(1)
    with shop.store.transaction() as tx:
        tx.metadata.save({TASK_KEY: "unfinished"})
        tx.commit()
    shop.cycle.train_champion(operator="somebody", reason="a test")
    assert shop.metadata()[TASK_KEY] == "unfinished"
