"""The current experiments of a process, and which arm answers a user's request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from core.definitions.followed import FollowedDefinitions
from core.definitions.kinds import EXPERIMENT
from core.experiments.assignment import assign
from core.experiments.definition import parse_experiment
from core.experiments.experiment import Experiment
from core.ports.store import Store


class Assignment(NamedTuple):
    """The scenario that answers ("": none), the arm as "experiment/arm" ("": outside every experiment), and its model.

    `model`: the version that answers; "": the champion.
    """

    scenario: str = ""
    arm: str = ""
    model: str = ""


class CurrentExperiments(FollowedDefinitions[Experiment]):
    """The experiments by name; thread-safe."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, EXPERIMENT, _parse)

    def models(self, *, now_ms: int) -> frozenset[str]:
        """The model versions that arms of running experiments name: to be loaded beside the champion."""
        running = (named.parsed for named in self.all().values() if named.parsed.runs_at(now_ms))
        return frozenset().union(*(experiment.models for experiment in running))

    def assign(
        self,
        scenario: str,
        user_id: str,
        *,
        now_ms: int,
        is_known: Callable[[str], bool],
        is_loaded: Callable[[str], bool],
    ) -> Assignment:
        """What answers a user's request under a scenario ("": none), by the experiment that runs on it, if any.

        `is_known`: whether a scenario exists; one that was deleted answers nobody, and its users are outside.
        `is_loaded`: whether a model version can answer; until all those of an experiment can, everybody is outside.
        """
        for named in self.all().values():
            experiment = named.parsed
            if experiment.scenario == scenario and experiment.runs_at(now_ms):
                if not all(map(is_loaded, experiment.models)):
                    break
                arm = assign(experiment, user_id)
                if arm is None or (arm.scenario and not is_known(arm.scenario)):
                    break
                return Assignment(arm.scenario or scenario, experiment.label(arm), arm.model)
        return Assignment(scenario)


def _parse(definition: Mapping[str, Any], name: str) -> Experiment:
    return parse_experiment(definition, name=name)
