"""The results of an experiment: each arm's metrics, compared with the control's, day by day, and the sample ratio.

Computed from sums over users for each day, which add up: see `ArmDay`. Independent of stores and of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

from core.experiments.comparison import ERROR, ArmComparison, compare
from core.experiments.experiment import METRICS, Experiment, Metric
from core.experiments.sample_ratio import SampleRatio, sample_ratio
from core.experiments.user_sums import UserSums


@dataclass(frozen=True, slots=True)
class ArmSums:
    """The sums over the users of an arm: answers, and for each metric those of `UserSums`."""

    answers: int = 0
    clicks: UserSums = field(default_factory=UserSums)
    conversions: UserSums = field(default_factory=UserSums)
    revenue: UserSums = field(default_factory=UserSums)

    def __add__(self, other: Self) -> Self:
        """Both together."""
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def of(self, metric: Metric) -> UserSums:
        """The sums of a metric."""
        return {METRICS[0]: self.clicks, METRICS[1]: self.conversions, METRICS[2]: self.revenue}[metric]


@dataclass(frozen=True, slots=True)
class ArmDay:
    """What a day adds to an arm's sums. `arm`: as "experiment/arm"; `day`: since 1970, UTC.

    Squares and products are of users' totals since the start: the days of an experiment add up to its sums.
    """

    arm: str
    day: int
    added: ArmSums


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """An arm so far: its sums, and by metric the comparison with the control; none for the control itself."""

    name: str
    sums: ArmSums
    comparisons: Mapping[Metric, ArmComparison]


@dataclass(frozen=True, slots=True)
class DayResult:
    """The comparisons of each arm but the control in the experiment's metric, as they stood at the end of a day."""

    day: int
    comparisons: Mapping[str, ArmComparison]


@dataclass(frozen=True, slots=True)
class ExperimentResults:
    """All that is known of an experiment. `days`: ascending, without days that have no answers."""

    arms: tuple[ArmOutcome, ...]
    ratio: SampleRatio
    days: tuple[DayResult, ...]


def results_of(experiment: Experiment, days: Sequence[ArmDay]) -> ExperimentResults:
    """The results from what each day adds to each arm, in any order."""
    labels = {experiment.label(arm): arm.name for arm in experiment.arms}
    sums = {name: ArmSums() for name in labels.values()}
    history = []
    by_day: dict[int, list[ArmDay]] = {}
    for each in days:
        by_day.setdefault(each.day, []).append(each)
    for day in sorted(by_day):
        for each in by_day[day]:
            sums[labels[each.arm]] += each.added
        history.append(DayResult(day, _comparisons(experiment, sums, experiment.metric)))
    by_metric = {metric: _comparisons(experiment, sums, metric) for metric in METRICS}
    arms = tuple(
        ArmOutcome(name, sums[name], {metric: by_arm[name] for metric, by_arm in by_metric.items() if name in by_arm})
        for name in sums
    )
    counts = [arm.sums.clicks.users for arm in arms]
    return ExperimentResults(arms, sample_ratio(counts, [arm.share for arm in experiment.arms]), tuple(history))


def _comparisons(experiment: Experiment, sums: Mapping[str, ArmSums], metric: Metric) -> dict[str, ArmComparison]:
    """Each arm but the first compared with it; the error is shared between the comparisons."""
    control, *others = (arm.name for arm in experiment.arms)
    return {
        name: compare(
            sums[control].of(metric),
            sums[name].of(metric),
            num_observations=sums[control].answers + sums[name].answers,
            error=ERROR / len(others),
        )
        for name in others
    }
