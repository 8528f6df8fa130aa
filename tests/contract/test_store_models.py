"""Model versions: one champion, recorded promotions, and atomic changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

import numpy as np
import pytest

from core.errors import InvalidInput, NotFound
from core.learn.versions import (
    ancestors,
    expired_versions,
    note,
    promote,
    propose,
    roll_back,
)
from core.ports.store import Store
from core.records.statuses import ModelStatus
from core.records.stored import ModelRecord, Promotion, UserState


class Decision(TypedDict):
    """Who changes what serves, why and when."""

    decided_by: str
    reason: str
    now_ms: int


OPERATOR: Decision = {"decided_by": "test", "reason": "to see", "now_ms": 7}


def add(store: Store, *versions: str, status: str = ModelStatus.CHALLENGER) -> None:
    for version in versions:
        with store.transaction() as tx:
            created_ms = len(tx.models.lock())
            tx.models.save(ModelRecord(version, f"models/{version}", status, created_ms, {"seed": 3}))
            tx.commit()


def serve(store: Store, *versions: str) -> None:
    """Add versions and promote one after the other."""
    for version in versions:
        add(store, version)
        with store.transaction() as tx:
            promote(tx, version, **OPERATOR)
            tx.commit()


def back(store: Store) -> Promotion:
    with store.transaction() as tx:
        promotion = roll_back(tx, **OPERATOR)
        tx.commit()
    return promotion


def statuses(store: Store) -> dict[str, str]:
    with store.read() as read:
        return {record.version: record.status for record in read.models.all()}


def champion(store: Store) -> str | None:
    with store.read() as read:
        record = read.models.champion()
    return record.version if record else None


def test_a_new_champion_retires_the_previous_champion(store: Store) -> None:
    first = ModelRecord("m1", "models/m1", "champion", 1000, {"seed": 1, "parent": None})
    second = ModelRecord("m2", "models/m2", "champion", 2000, {"parent": "m1"})
    for record in (first, second):
        with store.transaction() as tx:
            tx.models.save(record)
            tx.commit()
    with store.read() as read:
        assert read.models.champion() == second
        assert read.models.all() == [second, replace(first, status="retired")]


def test_a_retired_model_can_become_champion_again(store: Store) -> None:
    models = [ModelRecord(f"m{n}", f"models/m{n}", "champion", n) for n in (1, 2)]
    with store.transaction() as tx:
        for record in (*models, models[0]):
            tx.models.save(record)
        tx.commit()
    with store.read() as read:
        assert read.models.champion() == models[0]
        assert [record.status for record in read.models.all()] == ["retired", "champion"]


def test_a_promotion_changes_the_champion_and_is_recorded(store: Store) -> None:
    serve(store, "a", "b")
    assert statuses(store) == {"a": ModelStatus.RETIRED, "b": ModelStatus.CHAMPION}
    with store.read() as read:
        assert read.models.promotions() == [
            Promotion("b", "a", "promotion", "test", "to see", 7),
            Promotion("a", None, "promotion", "test", "to see", 7),
        ]
        assert len(read.models.promotions(since_ms=7)) == 2
        assert read.models.promotions(since_ms=8) == []


def test_an_uncommitted_promotion_is_rolled_back(store: Store) -> None:
    serve(store, "a")
    add(store, "b")
    with store.transaction() as tx:
        promote(tx, "b", **OPERATOR)
    assert statuses(store) == {"a": ModelStatus.CHAMPION, "b": ModelStatus.CHALLENGER}
    with store.read() as read:
        assert [promotion.version for promotion in read.models.promotions()] == ["a"]


def test_repeated_rollbacks_go_back_through_earlier_champions(store: Store) -> None:
    serve(store, "a", "b", "c")
    assert (back(store).version, champion(store)) == ("b", "b")
    assert (back(store).version, champion(store)) == ("a", "a")
    with pytest.raises(NotFound, match="no earlier model to return to"):
        back(store)
    assert statuses(store) == {"a": ModelStatus.CHAMPION, "b": ModelStatus.RETIRED, "c": ModelStatus.RETIRED}


def test_rollback_after_a_rollback_and_a_promotion(store: Store) -> None:
    serve(store, "a", "b")
    back(store)
    serve(store, "c")
    assert back(store).version == "a"


def test_models_without_recorded_promotions_can_be_rolled_back(store: Store) -> None:
    add(store, "a", "b", status=ModelStatus.CHAMPION)
    assert back(store).version == "a"


def test_serving_unknown_and_deleted_models_cannot_be_promoted(store: Store) -> None:
    serve(store, "a")
    with store.transaction() as tx:
        tx.models.save(ModelRecord("gone", "", ModelStatus.RETIRED, 1))
        with pytest.raises(InvalidInput, match="serves already"):
            promote(tx, "a", **OPERATOR)
        with pytest.raises(NotFound, match="'b' is not known"):
            promote(tx, "b", **OPERATOR)
        with pytest.raises(InvalidInput, match="files of model gone are no longer kept"):
            promote(tx, "gone", **OPERATOR)


def test_a_refused_model_is_promoted_only_with_force(store: Store) -> None:
    add(store, "bad")
    with store.transaction() as tx:
        note(tx, "bad", {"refused": "it knows one item"}, status=ModelStatus.REFUSED)
        with pytest.raises(InvalidInput, match="was refused: it knows one item; --force"):
            promote(tx, "bad", **OPERATOR)
        promote(tx, "bad", **OPERATOR, force=True)
        tx.commit()
    assert champion(store) == "bad"


def test_a_new_challenger_supersedes_a_waiting_one(store: Store) -> None:
    serve(store, "a")
    for version in ("b", "c"):
        with store.transaction() as tx:
            propose(tx, ModelRecord(version, f"models/{version}", ModelStatus.CHALLENGER, 9))
            tx.commit()
    assert statuses(store) == {"a": ModelStatus.CHAMPION, "b": ModelStatus.SUPERSEDED, "c": ModelStatus.CHALLENGER}


def test_added_facts_join_the_lineage(store: Store) -> None:
    add(store, "a")
    with store.transaction() as tx:
        note(tx, "a", {"verdict": "undecided"})
        tx.commit()
    with store.read() as read:
        assert read.models.all()[0].lineage == {"seed": 3, "verdict": "undecided"}
    assert statuses(store) == {"a": ModelStatus.CHALLENGER}


def test_past_champions_are_read_from_promotions(store: Store) -> None:
    serve(store, "a", "b", "c", "d")
    with store.read() as read:
        models, promotions = read.models.all(), read.models.promotions()
    assert [record.version for record in ancestors(models, promotions, limit=2)] == ["d", "c", "b"]
    assert [record.version for record in ancestors(models, promotions, limit=9)] == ["d", "c", "b", "a"]


def test_expendable_models_exclude_serving_recent_and_waiting_ones(store: Store) -> None:
    serve(store, "a", "b")
    add(store, "x", "y", status=ModelStatus.REFUSED)
    serve(store, "c", "d")
    add(store, "waits")
    with store.read() as read:
        models, promotions = read.models.all(), read.models.promotions()
    assert [record.version for record in expired_versions(models, promotions, keep=1)] == ["y", "x", "b", "a"]
    assert [record.version for record in expired_versions(models, promotions, keep=2)] == ["y", "x", "a"]


def test_vectors_are_deleted_by_version(store: Store) -> None:
    user = UserState(key=7, seq=3)
    with store.transaction() as tx:
        for version in ("a", "b"):
            tx.vectors.save([user], np.ones((1, 2), np.float32), [f"{version}:1:0"], version=version)
        tx.vectors.delete("a")
        tx.commit()
    with store.read() as read:
        assert read.vectors.find(user, version="a", binding="a:1:0") is None
        assert read.vectors.find(user, version="b", binding="b:1:0") is not None
