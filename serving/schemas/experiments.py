"""Experiments: what their routes take and answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from core.definitions.followed import NamedDefinition
from core.experiments.comparison import ArmComparison
from core.experiments.experiment import METRICS, Arm, Experiment, Metric
from core.experiments.results import ArmOutcome, ExperimentResults, sums_of
from core.records.statuses import ExperimentState
from core.times import day_text
from serving.schemas.base import Schema
from serving.schemas.definitions import CHANGE_AUTHOR, DefinitionRevisionOut, revision_out
from serving.schemas.openapi import ERRORS_404, document, path_parameter


class ArmIn(Schema):
    """One way of answering; the first arm is the control."""

    name: str
    share: float
    """The share of the scenario's users, 0 to 1. If the shares sum to less than 1, the other users are in no arm."""
    scenario: str | None = None
    """The scenario that answers; by default the experiment's own."""
    model: str | None = None
    """The model version that answers; by default the champion."""


class ExperimentIn(Schema):
    """The definition of an experiment."""

    description: str | None = None
    scenario: str | None = None
    """Users are split in requests with this scenario; by default in requests without one."""
    arms: list[ArmIn] = Field(min_length=2, max_length=10)
    metric: Metric = METRICS[0]
    """The metric that decides."""
    salt: str | None = None
    """Users are split by a hash of it and their id; by default the experiment's name."""
    start: int | None = None
    """When users are split, and results counted, from; by default now."""
    end: int | None = None


class ExperimentOut(Schema):
    """An experiment as it is stored."""

    name: str
    state: ExperimentState
    revision: int
    author: str
    time: int
    definition: dict[str, Any]


class ExperimentsOut(Schema):
    """All experiments, by name."""

    experiments: list[ExperimentOut]


class DifferenceOut(Schema):
    """A difference from the control, with an interval that stays valid however often it is read."""

    mean: float
    low: float
    high: float


class MetricOut(Schema):
    """A metric of an arm; the control has no comparison."""

    value: float | None
    difference: DifferenceOut | None = None
    """Null with fewer than 100 users, or 30 with a click, a conversion or revenue, in either arm."""
    lift: float | None = None
    """The relative difference."""
    judgement: Literal["better", "worse", "undecided", "too few"] | None = None
    """What the interval says."""


class ArmOut(Schema):
    """An arm so far."""

    name: str
    scenario: str
    model: str
    share: float
    users: int
    expected_users: float
    """How many users the share would give it, of all users in arms."""
    answers: int
    metrics: dict[str, MetricOut]


class DayOut(Schema):
    """The difference in the experiment's metric as it stood at the end of a day, by arm."""

    day: str
    differences: dict[str, DifferenceOut | None]


class ResultsOut(Schema):
    """The results of an experiment from the answers that are remembered."""

    name: str
    metric: Metric
    state: ExperimentState
    start: int
    end: int | None
    arms: list[ArmOut]
    sample_ratio: Literal["as planned", "mismatch"]
    """Mismatch: some arm loses users, so that the arms cannot be compared."""
    days: list[DayOut]


def experiment_out(named: NamedDefinition[Experiment], *, now_ms: int) -> dict[str, object]:
    """An experiment as `ExperimentOut`."""
    assert named.stored is not None
    return revision_out(named.stored) | {"state": named.parsed.state_at(now_ms)}


def results_out(experiment: Experiment, results: ExperimentResults, *, now_ms: int) -> dict[str, object]:
    """Results as `ResultsOut`."""
    arms = zip(experiment.arms, results.arms, results.ratio.expected, strict=True)
    return {
        "name": experiment.name,
        "metric": experiment.metric,
        "state": experiment.state_at(now_ms),
        "start": experiment.start_ms,
        "end": experiment.end_ms,
        "arms": [_arm(arm, outcome, expected) for arm, outcome, expected in arms],
        "sample_ratio": "mismatch" if results.ratio.is_mismatch else "as planned",
        "days": [
            {
                "day": day_text(day.day),
                "differences": {name: _difference(comparison) for name, comparison in day.comparisons.items()},
            }
            for day in results.days
        ],
    }


def _arm(arm: Arm, outcome: ArmOutcome, expected: float) -> dict[str, object]:
    return {
        "name": arm.name,
        "scenario": arm.scenario,
        "model": arm.model,
        "share": arm.share,
        "users": outcome.sums.clicks.users,
        "expected_users": round(expected, 1),
        "answers": outcome.sums.answers,
        "metrics": {metric: _metric(metric, outcome) for metric in METRICS},
    }


def _metric(metric: Metric, outcome: ArmOutcome) -> dict[str, object]:
    sums = sums_of(outcome.sums, metric)
    value: dict[str, object] = {"value": sums.ratio if sums.base else None}
    comparison = outcome.comparisons.get(metric)
    if comparison is None:
        return value
    return value | {
        "difference": _difference(comparison),
        "lift": comparison.lift,
        "judgement": comparison.judgement,
    }


def _difference(comparison: ArmComparison) -> dict[str, float] | None:
    interval = comparison.difference
    return None if interval is None else {"mean": interval.mean, "low": interval.low, "high": interval.high}


_TAG = "experiments"
_NAME = path_parameter("name")
_EXAMPLE = {"arms": [{"name": "control", "share": 0.5}, {"name": "home", "share": 0.5, "scenario": "homepage"}]}

GET_EXPERIMENTS = document(ExperimentsOut, tag=_TAG)
GET_EXPERIMENT = document(ExperimentOut, tag=_TAG, parameters=(_NAME,), errors=ERRORS_404)
PUT_EXPERIMENT = document(
    DefinitionRevisionOut,
    tag=_TAG,
    parameters=(_NAME, CHANGE_AUTHOR),
    bodies=(ExperimentIn,),
    examples={"two arms": _EXAMPLE},
)
POST_STOP = document(DefinitionRevisionOut, tag=_TAG, parameters=(_NAME, CHANGE_AUTHOR), errors=ERRORS_404)
DELETE_EXPERIMENT = document(DefinitionRevisionOut, tag=_TAG, parameters=(_NAME, CHANGE_AUTHOR), errors=ERRORS_404)
GET_RESULTS = document(ResultsOut, tag=_TAG, parameters=(_NAME,), errors=ERRORS_404)
