"""An experiment: users of a scenario are split into arms, and one metric decides which arm is best.

Plain values; `core.experiments.definition` reads them from JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from core.records.statuses import ExperimentState

Metric = Literal["click_through_rate", "conversions_per_user", "revenue_per_user"]
METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of answering. `share`: of users, above 0.

    `scenario`: what answers; "": the experiment's own scenario. `model`: the version that answers; "": the champion.
    """

    name: str
    share: float
    scenario: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment on the answers under a scenario ("": answers without a scenario).

    The first arm is the control, with which the others are compared. Where the shares add up to less than 1, the other
    users are outside: they are answered as without an experiment. `salt`: experiments with different salts split users
    independently. `start_ms`, `end_ms`: from when and until when users are assigned; None: without an end.
    """

    name: str
    arms: tuple[Arm, ...]
    scenario: str = ""
    salt: str = ""
    metric: Metric = "click_through_rate"
    start_ms: int = 0
    end_ms: int | None = None

    @property
    def models(self) -> frozenset[str]:
        """The model versions that its arms name."""
        return frozenset(arm.model for arm in self.arms if arm.model)

    def runs_at(self, time_ms: int) -> bool:
        """Whether users are assigned at a time."""
        return self.start_ms <= time_ms and (self.end_ms is None or time_ms < self.end_ms)

    def state_at(self, time_ms: int) -> ExperimentState:
        """Whether users are assigned at a time, were before it, or will be after it."""
        if self.runs_at(time_ms):
            return ExperimentState.RUNNING
        return ExperimentState.SCHEDULED if time_ms < self.start_ms else ExperimentState.ENDED

    def label(self, arm: Arm) -> str:
        """What answers of an arm are remembered by: "experiment/arm"."""
        return f"{self.name}/{arm.name}"
