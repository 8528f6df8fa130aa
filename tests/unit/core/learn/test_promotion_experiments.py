"""Promotion by experiment: the gate's winner is tested on users; each end of such an experiment, in one process."""

from __future__ import annotations

from typing import Any

import pytest
from unit.core.learn.test_cycle import CODES, LearningShop, outcome

from core.clock import DAY_MS, HOUR_MS
from core.definitions.kinds import EXPERIMENT, delete_definition
from core.experiments.current import Assignment, CurrentExperiments
from core.experiments.manage import save_experiment, stop_experiment
from core.learn.cycle import next_job
from core.learn.promotion_experiments import ExperimentPlan
from core.learn.triggers import Schedule, request_training
from core.learn.versions import promote
from core.records.outcomes import Measure, Origin, Outcome, StoredAnswer, first_key_at
from core.records.stored import ModelRecord

NAME = "promote-m1"
NUM_ANSWERS = 2_000


@pytest.fixture
def shop() -> LearningShop:
    """A champion, and a challenger that the gate would promote: its experiment runs."""
    shop = LearningShop(1, 1, 1, experiment=ExperimentPlan(days=14, margin=0))
    assert outcome(shop) == "promote"
    shop.add_days(4)
    assert outcome(shop) == "promote"
    assert shop.statuses() == {"m0": "champion", "m1": "challenger"}
    return shop


def answers(shop: LearningShop, *, champion: int, challenger: int, share: float = 0.5) -> None:
    """Each of 2,000 users gets one answer of one item; of a hundred in each arm, so many click."""
    clicking = {"champion": champion, "challenger": challenger}
    with shop.store.transaction() as tx:
        origins = {arm: Origin("", f"{NAME}/{arm}", arm) for arm in clicking}
        keys = tx.answers.name_origins(list(origins.values()))
        stored, clicks = [], []
        for number in range(NUM_ANSWERS):
            arm = "challenger" if number < share * NUM_ANSWERS else "champion"
            time_ms = shop.clock.now_ms() + number
            key = first_key_at(time_ms)[:-4] + number.to_bytes(4, "big")
            answer = StoredAnswer(key, f"u{number}", time_ms, keys[origins[arm]], (1,))
            stored.append(answer)
            if number % 100 < clicking[arm]:
                event_key = number.to_bytes(16, "big")
                clicks.append(Outcome(key, 1, Measure.CLICK, event_key, answer.origin_key, time_ms, 1.0, None))
        tx.answers.add(stored)
        tx.outcomes.add(clicks)
        tx.commit()


def due(shop: LearningShop) -> Any:
    return next_job(shop.store, type_codes=CODES, schedule=Schedule(every_events=1, min_new_events=1), clock=shop.clock)


def checked(shop: LearningShop, *, after_ms: int = HOUR_MS) -> str | None:
    """The verdict of the check that is due after a time."""
    shop.clock.advance(by_ms=after_ms)
    job = due(shop)
    assert job is not None
    assert (job.kind, job.reason) == ("check", f"experiment {NAME}")
    verdict = shop.cycle.run(job)
    return verdict.outcome if verdict else None


def experiments(shop: LearningShop) -> CurrentExperiments:
    current = CurrentExperiments(shop.store)
    current.follow()
    return current


def runs(shop: LearningShop) -> bool:
    return experiments(shop).named(NAME).parsed.runs_at(shop.clock.now_ms())


def test_users_are_split_between_champion_and_challenger(shop: LearningShop) -> None:
    current, now_ms = experiments(shop), shop.clock.now_ms()
    users = [f"u{number}" for number in range(40)]
    assigned = {current.assign("", user, now_ms=now_ms, is_known=bool, is_loaded=bool) for user in users}
    assert assigned == {Assignment("", f"{NAME}/champion", "m0"), Assignment("", f"{NAME}/challenger", "m1")}
    assert current.models(now_ms=now_ms) == {"m0", "m1"}


def test_a_win_promotes(shop: LearningShop) -> None:
    answers(shop, champion=10, challenger=20)
    assert checked(shop) == "promote"
    assert shop.statuses() == {"m0": "retired", "m1": "champion"}
    with shop.store.read() as read:
        assert read.models.promotions()[0].decided_by == f"experiment {NAME}"
    assert "click_through_rate +0.1000" in shop.lineage("m1")["trials"][-1]["reason"]
    assert not runs(shop)


def test_a_loss_refuses(shop: LearningShop) -> None:
    answers(shop, champion=20, challenger=10)
    assert checked(shop) == "refuse"
    assert shop.statuses() == {"m0": "champion", "m1": "refused"}
    assert "click_through_rate -0.1000" in shop.lineage("m1")["refused"]
    assert not runs(shop)


def test_no_other_training_is_due_until_it_has_decided(shop: LearningShop) -> None:
    shop.add_days(6)
    assert due(shop) is None
    answers(shop, champion=15, challenger=15)
    assert checked(shop) == "undecided"
    assert due(shop) is None, "the next check is in an hour"
    assert runs(shop)
    assert len(shop.lineage("m1")["trials"]) == 1, "undecided checks are not kept"


def test_a_challenger_without_a_decision_at_the_end_is_refused(shop: LearningShop) -> None:
    answers(shop, champion=15, challenger=15)
    assert checked(shop, after_ms=14 * DAY_MS) == "refuse"
    assert shop.lineage("m1")["refused"].endswith("it ended without a decision")
    assert due(shop).kind == "fine-tune"


def test_a_loss_within_the_margin_is_tolerated() -> None:
    shop = LearningShop(1, 1, experiment=ExperimentPlan(margin=0.9))
    outcome(shop)
    shop.add_days(4)
    outcome(shop)
    answers(shop, champion=40, challenger=39)
    assert checked(shop) == "promote"


def test_arms_that_lose_users_refuse(shop: LearningShop) -> None:
    answers(shop, champion=10, challenger=20, share=0.3)
    assert checked(shop) == "refuse"
    assert shop.lineage("m1")["refused"] == "experiment: the numbers of users do not fit the shares: 1,400 and 600"


def test_who_stops_it_decides_by_what_is_known(shop: LearningShop) -> None:
    answers(shop, champion=15, challenger=15)
    stop_experiment(shop.store, NAME, author="ann", clock=shop.clock)
    assert checked(shop) == "refuse"


def test_who_deletes_it_refuses(shop: LearningShop) -> None:
    delete_definition(shop.store, EXPERIMENT, NAME, author="ann")
    assert checked(shop) == "refuse"
    assert shop.lineage("m1")["refused"] == "its experiment was deleted"


def test_a_newer_challenger_ends_it(shop: LearningShop) -> None:
    with shop.store.transaction() as tx:
        request_training(tx, kind="fine-tune", by="ann", reason="", now_ms=shop.clock.now_ms())
        tx.commit()
    shop.add_days(4)
    shop.clock.advance(by_ms=HOUR_MS)
    shop.cycle.run(due(shop))
    assert shop.statuses()["m1"] == "superseded"
    assert not runs(shop)
    assert experiments(shop).named("promote-m2").parsed.runs_at(shop.clock.now_ms())


def test_it_is_void_where_another_model_serves(shop: LearningShop) -> None:
    with shop.store.transaction() as tx:
        tx.models.save(ModelRecord("mine", "models/mine", "retired", 0))
        promote(tx, "mine", decided_by="ann", reason="", now_ms=shop.clock.now_ms())
        tx.commit()
    answers(shop, champion=10, challenger=20)
    assert checked(shop) == "undecided"
    assert shop.statuses() == {"mine": "champion", "m0": "retired", "m1": "challenger"}
    assert shop.lineage("m1")["experiment"] is None, "the gate judges it again"
    assert not runs(shop)


def test_who_promotes_the_challenger_ends_it_at_once(shop: LearningShop) -> None:
    with shop.store.transaction() as tx:
        promote(tx, "m1", decided_by="ann", reason="", now_ms=shop.clock.now_ms())
        tx.commit()
    assert due(shop).kind == "check"
    assert shop.cycle.run(due(shop)) is None
    assert shop.statuses() == {"m0": "retired", "m1": "champion"}
    assert not runs(shop)


def test_none_begins_while_another_one_runs_there() -> None:
    shop = LearningShop(1, 1, experiment=ExperimentPlan())
    outcome(shop)
    arms = [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}]
    save_experiment(shop.store, "mine", {"arms": arms}, author="ann", scenarios=(), clock=shop.clock)
    shop.add_days(4)
    assert outcome(shop) == "promote"
    assert shop.statuses() == {"m0": "champion", "m1": "challenger"}
    assert list(experiments(shop).all()) == ["mine"]
