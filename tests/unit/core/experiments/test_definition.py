"""The definition of an experiment: JSON with known fields, and an error that names the wrong field."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.experiments.definition import parse_experiment
from core.experiments.experiment import Arm, Experiment

EQUAL: list[dict[str, Any]] = [{"name": "control", "share": 0.5}, {"name": "diverse", "share": 0.5}]


def parse(**fields: object) -> Experiment:
    return parse_experiment({"arms": EQUAL, **fields}, name="ranking", now_ms=1_700_000_000_000)


def test_an_object_says_all_parts_of_an_experiment() -> None:
    arms = [{"name": "control", "share": 0.1}, {"name": "diverse", "share": 0.2, "scenario": "home-diverse"}]
    experiment = parse(
        description="Fewer of one kind",
        scenario="home",
        arms=arms,
        metric="revenue_per_user",
        salt="Ä b",
        start="2026-11-01",
        end=1_800_000_000_000,
    )
    assert experiment == Experiment(
        name="ranking",
        arms=(Arm("control", 0.1), Arm("diverse", 0.2, "home-diverse")),
        scenario="home",
        salt="Ä b",
        metric="revenue_per_user",
        start_ms=1_793_491_200_000,
        end_ms=1_800_000_000_000,
    )


def test_an_experiment_starts_now_and_has_no_end() -> None:
    arms = (Arm("control", 0.5), Arm("diverse", 0.5))
    assert parse() == Experiment("ranking", arms, start_ms=1_700_000_000_000)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"arms": None}, "experiment.arms", "wanted a value, got none"),
        ({"arms": EQUAL[:1]}, "arms", "wanted two to 10 arms with different names, got control"),
        ({"arms": [EQUAL[0], EQUAL[0]]}, "arms", "wanted two to 10 arms with different names, got control, control"),
        ({"arms": [*EQUAL, {"name": "c", "share": 0.1}]}, "arms", "wanted shares that add up to at most 1, got 1.1"),
        ({"arms": [{"name": "a/b", "share": 0.5}]}, "name", "wanted 1 to 64 of a-z"),
        ({"arms": [{"name": 5, "share": 0.5}]}, "arms[0].name", "wanted text, got 5"),
        ({"arms": [{"name": "a", "share": 0}]}, "arms[0].share", "wanted a number from 0.001 to 1, got 0"),
        ({"arms": [{"name": "a", "share": 1, "model": 3}]}, "arms[0].model", "got 3"),
        ({"arms": [{"name": "a", "share": 1, "scenario": 3}]}, "arms[0].scenario", "wanted the name of a scenario"),
        ({"scenario": "A b"}, "name", "wanted 1 to 64 of a-z"),
        ({"metric": "likes"}, "metric", "wanted click_through_rate, conversions_per_user or revenue_per_user"),
        ({"end": "2020-01-01"}, "end", "wanted a time that is not before the start"),
        ({"start": 5}, "start", "5 looks like seconds"),
        ({"description": 5}, "description", "wanted text of at most 500 characters"),
        ({"shares": []}, "shares", "unknown field of experiment"),
    ],
)
def test_errors_name_the_field(fields: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(**fields)
    assert refused.value.field == field
    assert message in str(refused.value)
