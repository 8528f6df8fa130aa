"""The results of an experiment: each arm's metrics, compared with the control's, day by day, and the sample ratio.

Computed from sums over users for each day, which add up: see `ArmDay`. Independent of stores and of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.experiments.comparison import ERROR, ArmComparison, compare
from core.experiments.experiment import METRICS, Experiment, Metric
from core.experiments.sample_ratio import SampleRatio, sample_ratio
from core.records.arms import ArmDay, ArmSums, UserSums


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


def sums_of(arm: ArmSums, metric: Metric) -> UserSums:
    """The sums of a metric."""
    return {METRICS[0]: arm.clicks, METRICS[1]: arm.conversions, METRICS[2]: arm.revenue}[metric]


def _comparisons(experiment: Experiment, sums: Mapping[str, ArmSums], metric: Metric) -> dict[str, ArmComparison]:
    """Each arm but the first compared with it; the error is shared between the comparisons."""
    control, *others = (arm.name for arm in experiment.arms)
    return {
        name: compare(
            sums_of(sums[control], metric),
            sums_of(sums[name], metric),
            num_observations=sums[control].answers + sums[name].answers,
            error=ERROR / len(others),
        )
        for name in others
    }
