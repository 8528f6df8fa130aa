"""Promotion by experiment: the gate's winner answers a share of users, and is promoted if these are not worse off.

The life of such an experiment, each step in one transaction under the trainer's lease:

    start   where the gate would promote a challenger: the champion against it, on answers without a scenario
    check   once an hour and at the end, by the interval of the metric's difference, which holds at all looks:
                promote     the lower bound is above -margin
                refuse      the upper bound is below -margin, the numbers of users do not fit the shares, or it ended
                undecided   otherwise, until it ends

It ends `days` after its start, or when somebody stops it. Where another model serves meanwhile, it is void: it ends,
and the gate judges the challenger again. While it runs, no other training is due, except on request, which ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.clock import DAY_MS, HOUR_MS, Clock
from core.definitions.kinds import newest_revision
from core.errors import InvalidInput, NotReady
from core.experiments.definition import parse_experiment
from core.experiments.experiment import METRICS, Experiment, Metric
from core.experiments.manage import add_experiment, end_experiment
from core.experiments.report import read_results
from core.experiments.results import ExperimentResults
from core.learn.gate import Verdict
from core.learn.versions import named, note, promote, with_status
from core.lease import Lease, NoLease
from core.ports.store import Store, Transaction
from core.records.statuses import ExperimentState, ModelStatus
from core.records.stored import ModelRecord

logger = logging.getLogger(__name__)

EXPERIMENT = "experiment"  # of a challenger's lineage: the name of its experiment, and when it was last checked
CHECK_EVERY_MS = HOUR_MS
DECIDED_BY = "the gate"


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """How the gate's winner is tested.

    `share`: of the users, for the challenger. `days`: the longest that it runs. `margin`: the tolerated loss, as a
    share of the champion's metric; 0: only a win promotes. `proven_impressions`: see `core.ports.arms.ArmReader.days`.
    """

    metric: Metric = METRICS[0]
    share: float = 0.5
    days: float = 14.0
    margin: float = 0.02
    proven_impressions: bool = False


def experiment_name(version: str) -> str:
    """The experiment that decides on a version."""
    return f"promote-{version}"


def start_experiment(
    tx: Transaction, champion: ModelRecord, challenger: ModelRecord, plan: ExperimentPlan, *, now_ms: int
) -> Mapping[str, Any]:
    """Begin it; the facts for the challenger's lineage. None begins while another one runs there."""
    name = experiment_name(challenger.version)
    definition = {
        "description": f"Whether {challenger.version} replaces {champion.version}",
        "arms": [
            {"name": "champion", "share": 1 - plan.share, "model": champion.version},
            {"name": "challenger", "share": plan.share, "model": challenger.version},
        ],
        "metric": plan.metric,
        "start": now_ms,
        "end": now_ms + round(plan.days * DAY_MS),
    }
    try:
        add_experiment(tx, name, definition, author=DECIDED_BY, now_ms=now_ms)
    except InvalidInput as error:
        logger.warning("challenger %s is not tested yet: %s", challenger.version, error)
        return {}
    return {EXPERIMENT: {"name": name, "checked": now_ms, "end": definition["end"]}}


def is_check_due(challenger: ModelRecord, now_ms: int) -> bool:
    """Whether the experiment of a challenger is to be read; False without one."""
    pending = challenger.lineage.get(EXPERIMENT)
    return pending is not None and now_ms >= min(pending["end"], pending["checked"] + CHECK_EVERY_MS)


def decide(experiment: Experiment, results: ExperimentResults, *, margin: float, now_ms: int) -> Verdict:
    """What the results say of the challenger, the second arm. `margin`: as in `ExperimentPlan`."""
    num_users = [arm.sums.clicks.users for arm in results.arms]
    num_answers = sum(arm.sums.answers for arm in results.arms)
    figures: dict[str, Any] = {"events": num_answers, "users": sum(num_users), "compared": []}
    if results.ratio.is_mismatch:
        counts = " and ".join(f"{num:,}" for num in num_users)
        return Verdict("refuse", f"experiment: the numbers of users do not fit the shares: {counts}", figures)
    comparison = results.arms[1].comparisons[experiment.metric]
    difference, tolerated = comparison.difference, margin * comparison.control
    reason = f"experiment: too few users for an interval of {experiment.metric}"
    if difference is not None:
        interval = f"[{difference.low:+.4f}, {difference.high:+.4f}]"
        reason = f"experiment: {experiment.metric} {difference.mean:+.4f} {interval}, margin {tolerated:.4f}"
        if difference.low > -tolerated:
            return Verdict("promote", reason, figures)
        if difference.high < -tolerated:
            return Verdict("refuse", reason, figures)
    if experiment.state_at(now_ms) == ExperimentState.ENDED:
        return Verdict("refuse", f"{reason}; it ended without a decision", figures)
    return Verdict("undecided", reason, figures)


def check_experiment(store: Store, lease: Lease | NoLease, plan: ExperimentPlan, clock: Clock) -> Verdict | None:
    """Read the experiment of the challenger and apply what it says; None where none has one."""
    now_ms = clock.now_ms()
    with lease.transaction() as tx:
        end_orphaned(tx, now_ms=now_ms)
        tx.commit()
    with store.read() as read:
        challenger = with_status(read.models.all(), ModelStatus.CHALLENGER)
        pending = challenger.lineage.get(EXPERIMENT) if challenger else None
        change = newest_revision(read.experiments, pending["name"]) if pending else None
    if challenger is None or not pending:
        return None
    if change is None or change.definition is None:
        verdict = Verdict("refuse", "its experiment was deleted", {"events": 0, "users": 0, "compared": []})
    else:
        experiment = parse_experiment(change.definition, name=pending["name"])
        results = read_results(store, experiment, proven_impressions=plan.proven_impressions)
        verdict = decide(experiment, results, margin=plan.margin, now_ms=now_ms)
    with lease.transaction() as tx:
        verdict = _apply(tx, challenger.version, verdict, now_ms)
        tx.commit()
    logger.info("challenger %s: %s, %s", challenger.version, verdict.outcome, verdict.reason)
    return verdict


def is_orphaned(record: ModelRecord) -> bool:
    """Whether a version has an experiment and is no challenger any more: it was replaced, or somebody promoted it."""
    return record.status != ModelStatus.CHALLENGER and bool(record.lineage.get(EXPERIMENT))


def end_orphaned(tx: Transaction, *, now_ms: int) -> None:
    """End the experiments that decide on nothing any more."""
    for record in tx.models.lock():
        if is_orphaned(record):
            _end(tx, record, now_ms)
            note(tx, record.version, {EXPERIMENT: None})


def _apply(tx: Transaction, version: str, verdict: Verdict, now_ms: int) -> Verdict:
    """Apply a verdict; what counts, which is undecided where the experiment is void."""
    models = tx.models.lock()
    record, serving = named(models, version), with_status(models, ModelStatus.CHAMPION)
    pending = record.lineage.get(EXPERIMENT)
    if record.status != ModelStatus.CHALLENGER or not pending:
        msg = f"challenger {version} was replaced while its experiment was read"
        raise NotReady(msg)
    change = newest_revision(tx.experiments, pending["name"])
    tested = change.definition["arms"][0].get("model") if change is not None and change.definition else None
    if tested is not None and (serving is None or serving.version != tested):
        _end(tx, record, now_ms)  # void: the gate judges again, against what serves now
        note(tx, version, {EXPERIMENT: None})
        return Verdict("undecided", "another model serves now: its experiment is void", verdict.figures)
    if verdict.outcome == "undecided":
        note(tx, version, {EXPERIMENT: {**pending, "checked": now_ms}})
        return verdict
    _end(tx, record, now_ms)
    trial = {"time": now_ms, "verdict": verdict.outcome, "reason": verdict.reason, **verdict.figures}
    facts = {"trials": [*record.lineage.get("trials", ()), trial], EXPERIMENT: None}
    if verdict.outcome == "refuse":
        note(tx, version, {**facts, "refused": verdict.reason}, status=ModelStatus.REFUSED)
        return verdict
    note(tx, version, facts)
    promote(tx, version, decided_by=f"experiment {pending['name']}", reason=verdict.reason, now_ms=now_ms)
    return verdict


def _end(tx: Transaction, record: ModelRecord, now_ms: int) -> None:
    end_experiment(tx, record.lineage[EXPERIMENT]["name"], author=DECIDED_BY, now_ms=now_ms)
