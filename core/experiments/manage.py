"""Changes of experiments, each one revision with author and time, in one transaction."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from core.clock import Clock, WallClock
from core.definitions.kinds import EXPERIMENT, newest_revision
from core.errors import InvalidInput
from core.experiments.definition import parse_experiment
from core.experiments.experiment import Experiment
from core.json_fields import check_name
from core.ports.definitions import DefinitionReader
from core.ports.store import Store, Transaction
from core.records.statuses import ExperimentState
from core.records.stored import DefinitionRevision

_WALL = WallClock()
SPLIT = ("scenario", "arms", "salt", "metric")  # fields after a change of which results begin anew


def save_experiment(
    store: Store,
    name: str,
    definition: Mapping[str, Any],
    *,
    author: str,
    scenarios: Container[str],
    clock: Clock = _WALL,
) -> DefinitionRevision:
    """Insert or replace an experiment; raises `InvalidInput`. `scenarios`: the names of those that exist.

    Without a `start` it starts now, or keeps its start while it runs and what splits users and decides stays the same:
    results of different splits are never added, nor those of a time in which it was stopped. Only one experiment at a
    time may run on a scenario.
    """
    now_ms = clock.now_ms()
    experiment = parse_experiment(definition, name=check_name(name), now_ms=now_ms)
    for scenario in (experiment.scenario, *(arm.scenario for arm in experiment.arms)):
        if scenario and scenario not in scenarios:
            advice = "`tidewise scenarios put`, or PUT /v1/scenarios/NAME, makes one"
            msg = f"scenario: wanted a known name, got {scenario!r}; {advice}"
            raise InvalidInput(msg, field="scenario")
    with store.transaction() as tx:
        change = add_experiment(tx, name, definition, author=author, now_ms=now_ms)
        tx.commit()
    return change


def add_experiment(
    tx: Transaction, name: str, definition: Mapping[str, Any], *, author: str, now_ms: int
) -> DefinitionRevision:
    """As `save_experiment`, in a transaction; its scenarios are known to exist."""
    _check_models(tx, parse_experiment(definition, name=name, now_ms=now_ms))
    tx.experiments.lock()
    before = newest_revision(tx.experiments, name)
    newest = None if before is None else before.definition
    if "start" not in definition:
        kept = newest is not None and _continues(newest, definition, now_ms=now_ms)
        definition = {**definition, "start": newest["start"] if newest is not None and kept else now_ms}
    if before is not None and definition == newest:
        return before
    _check_alone(tx, parse_experiment(definition, name=name))
    return tx.experiments.add(name, definition, author=author, now_ms=now_ms)


def _continues(newest: Mapping[str, Any], definition: Mapping[str, Any], *, now_ms: int) -> bool:
    """Whether results go on under a definition: it splits and decides alike, and does not reopen what has ended."""
    if any(newest.get(field) != definition.get(field) for field in SPLIT):
        return False
    has_ended = parse_experiment(newest, name="").state_at(now_ms) == ExperimentState.ENDED
    return not has_ended or newest.get("end") == definition.get("end")


def stop_experiment(store: Store, name: str, *, author: str, clock: Clock = _WALL) -> DefinitionRevision:
    """End an experiment now: its users are answered as without it, its results stay. Raises `NotFound`."""
    with store.transaction() as tx:
        change = end_experiment(tx, name, author=author, now_ms=clock.now_ms())
        if change is None:
            raise EXPERIMENT.not_stored(name)
        tx.commit()
    return change


def end_experiment(tx: Transaction, name: str, *, author: str, now_ms: int) -> DefinitionRevision | None:
    """As `stop_experiment`, in a transaction: the newest revision if it has ended; None where it is not stored."""
    tx.experiments.lock()
    newest = newest_revision(tx.experiments, name)
    if newest is None or newest.definition is None:
        return None
    definition = dict(newest.definition)
    experiment = parse_experiment(definition, name=name)
    if experiment.state_at(now_ms) == ExperimentState.ENDED:
        return newest
    definition |= {"start": min(experiment.start_ms, now_ms), "end": now_ms}
    return tx.experiments.add(name, definition, author=author, now_ms=now_ms)


def _check_models(tx: Transaction, experiment: Experiment) -> None:
    kept = {record.version for record in tx.models.lock() if record.path} if experiment.models else set()
    unknown = sorted(experiment.models - kept)
    if unknown:
        msg = f"model: wanted a version with its files, got {unknown[0]!r}; `tidewise models list` shows all"
        raise InvalidInput(msg, field="model")


def unfinished_experiments(definitions: DefinitionReader, *, now_ms: int) -> list[Experiment]:
    """The stored experiments that run now or start later."""
    stored = (change for change in definitions.changed_since(0) if change.definition is not None)
    experiments = (parse_experiment(change.definition, name=change.name) for change in stored)
    return [experiment for experiment in experiments if experiment.state_at(now_ms) != ExperimentState.ENDED]


def _check_alone(tx: Transaction, new: Experiment) -> None:
    for change in tx.experiments.changed_since(0):
        if change.name == new.name or change.definition is None:
            continue
        other = parse_experiment(change.definition, name=change.name)
        ends = [each.end_ms for each in (new, other) if each.end_ms is not None]
        if other.scenario == new.scenario and max(new.start_ms, other.start_ms) < min(ends, default=2**63):
            on = f"scenario {new.scenario!r}" if new.scenario else "answers without a scenario"
            msg = f"scenario: wanted one experiment at a time on {on}, got {new.name!r} beside {other.name!r}; stop one"
            raise InvalidInput(msg, field="scenario")
