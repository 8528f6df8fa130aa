"""Experiments in a store: what splits users begins anew, one runs on a scenario at a time, and one may be stopped."""

from __future__ import annotations

from typing import Any

import pytest

from core.clock import DAY_MS, ManualClock
from core.definitions.kinds import EXPERIMENT, delete_definition
from core.errors import InvalidInput, NotFound
from core.experiments.current import Assignment, CurrentExperiments
from core.experiments.manage import save_experiment, stop_experiment
from core.ports.store import Store
from core.records.stored import DefinitionRevision, ModelRecord

NOW_MS = 20_000 * DAY_MS
ARMS = [{"name": "control", "share": 0.5}, {"name": "other", "share": 0.5, "scenario": "diverse"}]
HOME: dict[str, Any] = {"scenario": "home", "arms": ARMS}


def save(store: Store, name: str, definition: dict[str, Any], *, at_ms: int = NOW_MS) -> DefinitionRevision:
    scenarios = ("home", "cart", "diverse")
    return save_experiment(store, name, definition, author="ann", scenarios=scenarios, clock=ManualClock(at_ms))


def start_of(change: DefinitionRevision) -> int:
    assert change.definition is not None
    return int(change.definition["start"])


def test_it_starts_when_it_is_stored_and_again_when_the_split_changes(store: Store) -> None:
    assert start_of(save(store, "test", HOME)) == NOW_MS
    assert start_of(save(store, "test", HOME | {"description": "new"}, at_ms=NOW_MS + 5)) == NOW_MS
    assert start_of(save(store, "test", HOME | {"salt": "b"}, at_ms=NOW_MS + 9)) == NOW_MS + 9
    assert start_of(save(store, "test", HOME | {"start": NOW_MS - 7}, at_ms=NOW_MS + 9)) == NOW_MS - 7
    with store.read() as read:
        assert [change.revision for change in read.experiments.history("test", limit=9)] == [4, 3, 2, 1]
        assert read.scenarios.revision() == 0


def test_one_runs_on_a_scenario_at_a_time(store: Store) -> None:
    save(store, "test", HOME | {"end": NOW_MS + DAY_MS})
    with pytest.raises(InvalidInput, match=r"one experiment at a time on scenario 'home', got 'new' beside 'test'"):
        save(store, "new", HOME)
    save(store, "new", HOME | {"start": NOW_MS + DAY_MS})
    save(store, "cart", HOME | {"scenario": "cart"})
    stop_experiment(store, "test", author="ann", clock=ManualClock(NOW_MS + 1))
    save(store, "third", HOME | {"end": NOW_MS + DAY_MS}, at_ms=NOW_MS + 1)


def test_its_scenarios_must_exist(store: Store) -> None:
    with pytest.raises(InvalidInput, match="scenario: wanted a known name, got 'shop'"):
        save(store, "test", HOME | {"scenario": "shop"})


def test_models_of_its_arms_must_have_files(store: Store) -> None:
    with store.transaction() as tx:
        tx.models.save(ModelRecord("kept", "models/kept", "champion", 1))
        tx.models.save(ModelRecord("old", "", "retired", 0))
        tx.commit()
    arms = [{"name": "control", "share": 0.5}, {"name": "other", "share": 0.5, "model": "old"}]
    with pytest.raises(InvalidInput, match="model: wanted a version with its files, got 'old'"):
        save(store, "test", {"arms": arms})
    arms[1]["model"] = "kept"
    save(store, "test", {"arms": arms})
    current = CurrentExperiments(store)
    current.follow()
    assert (current.models(now_ms=NOW_MS), current.models(now_ms=NOW_MS - 1)) == ({"kept"}, frozenset())


def test_users_are_outside_until_every_model_of_it_is_loaded(store: Store) -> None:
    with store.transaction() as tx:
        for version in ("one", "two"):
            tx.models.save(ModelRecord(version, version, "retired", 1))
        tx.commit()
    arms = [{"name": version, "share": 0.5, "model": version} for version in ("one", "two")]
    save(store, "test", {"arms": arms})
    current = CurrentExperiments(store)
    current.follow()

    def assigned(*loaded: str) -> set[Assignment]:
        users = [f"user-{number}" for number in range(20)]
        is_loaded = loaded.__contains__
        return {current.assign("", user, now_ms=NOW_MS, is_known=bool, is_loaded=is_loaded) for user in users}

    assert assigned("one") == {Assignment()}
    assert assigned("one", "two") == {Assignment("", "test/one", "one"), Assignment("", "test/two", "two")}


def test_a_stopped_or_deleted_one_assigns_nobody(store: Store) -> None:
    save(store, "test", HOME)
    current = CurrentExperiments(store)
    current.follow()
    users = [f"user-{number}" for number in range(20)]

    def assigned(scenario: str = "home", *, known: str = "diverse") -> set[Assignment]:
        return {
            current.assign(scenario, user, now_ms=NOW_MS + 9, is_known=known.__eq__, is_loaded=bool) for user in users
        }

    outside = {Assignment("home")}
    assert assigned() == {Assignment("home", "test/control"), Assignment("diverse", "test/other")}
    assert assigned("cart") == {Assignment("cart")}
    assert assigned(known="another") == {Assignment("home", "test/control"), Assignment("home")}
    stop_experiment(store, "test", author="ann", clock=ManualClock(NOW_MS + 5))
    current.follow()
    assert assigned() == outside
    delete_definition(store, EXPERIMENT, "test", author="ann")
    current.follow()
    assert (assigned(), dict(current.all())) == (outside, {})


def test_what_is_not_stored_is_neither_stopped_nor_deleted(store: Store) -> None:
    with pytest.raises(NotFound, match="no experiment is stored as 'test'"):
        stop_experiment(store, "test", author="ann")
    with pytest.raises(NotFound, match="no experiment is stored as 'test'"):
        delete_definition(store, EXPERIMENT, "test", author="ann")
