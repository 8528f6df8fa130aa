"""The report of an experiment: its results from the answers that are remembered."""

from __future__ import annotations

from core.experiments.experiment import Experiment
from core.experiments.results import ExperimentResults, results_of
from core.ports.store import Store

END_OF_TIME_MS = 2**47  # of answers' times


def read_results(store: Store, experiment: Experiment, *, proven_impressions: bool) -> ExperimentResults:
    """The results now; reads all answers since the start, some 12 seconds of a core for a million.

    `proven_impressions`: see `core.ports.arms.ArmReader.days`.
    """
    labels = [experiment.label(arm) for arm in experiment.arms]
    # With its last millisecond: where an old log is replayed, the time of all answers may be that of the end.
    until_ms = END_OF_TIME_MS if experiment.end_ms is None else experiment.end_ms + 1
    with store.read() as read:
        days = read.arms.days(
            labels, since_ms=experiment.start_ms, until_ms=until_ms, proven_impressions=proven_impressions
        )
    return results_of(experiment, days)
