"""The promotion gate: decides whether a model serves instead of what serves without it.

The challenger is compared with the others on events that none of them learnt from, with a non-inferiority test. Users
are resampled, because the events of a user are not independent. With the 95% interval of the difference in NDCG@10
(challenger - other) and a margin m, a share of the other's NDCG@10:

    promote     the lower bound is above -m
    refuse      the upper bound is below -m, or a sanity check fails
    undecided   otherwise: more events are needed

The worst outcome decides. Without a champion the others are the baselines, which serve until a model is promoted. With
a champion they are the champion and an anchor, a champion of several promotions ago, so that losses within the margin
do not add up; a baseline then only refuses, and only if the champion is not below it as well. Independent of how trials
are run and of what follows from the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from core.arrays import IntArray
from core.evaluation.metrics import Array, Interval, bootstrap_over_users, ndcg
from core.learn.trial import TrialResult

VerdictOutcome = Literal["promote", "refuse", "undecided"]
CHALLENGER, CHAMPION, ANCHOR = "challenger", "champion", "anchor"
WORST_FIRST: tuple[VerdictOutcome, ...] = ("refuse", "undecided", "promote")
NUM_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class GateRules:
    """The thresholds of the gate. `margin`: the tolerated loss, as a share of the other's NDCG@10.

    A promotion needs `min_events` events of `min_users` users: the bootstrap interval of few users is too narrow.

    Sanity checks: the challenger's top tens contain at least `min_coverage` times as many items as the champion's; no
    item is first for more than `max_top_share` of users and more than `max_top_growth` times the champion's share;
    encoding takes at most `max_slowdown` times as long, or at most `free_ms`.
    """

    margin: float = 0.02
    min_events: int = 100
    min_users: int = 20
    min_coverage: float = 0.5
    max_top_share: float = 0.2
    max_top_growth: float = 2.0
    max_slowdown: float = 3.0
    free_ms: float = 2.0


@dataclass(frozen=True, slots=True)
class GateComparison:
    """The challenger compared with another; figures are NDCG@10 with 95% intervals, `difference` is challenger - other.

    `other`: its name. `decides`: whether the verdict depends on it.
    """

    other: str
    ndcg: Interval
    difference: Interval
    margin: float
    outcome: VerdictOutcome
    decides: bool = True

    @property
    def reason(self) -> str:
        """The comparison as a phrase."""
        name = f"the {self.other}" if self.other in (CHAMPION, ANCHOR) else self.other
        difference = self.difference
        interval = f"[{difference.low:+.4f}, {difference.high:+.4f}]"
        return f"against {name} {difference.mean:+.4f} NDCG@10 {interval}, margin {self.margin:.4f}"

    def to_json(self) -> dict[str, Any]:
        """The comparison as part of a model's lineage."""
        return {
            "name": self.other,
            "ndcg_10": _rounded(self.ndcg),
            "difference": _rounded(self.difference),
            "margin": round(self.margin, 5),
            "outcome": self.outcome,
            "decides": self.decides,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision and its reason.

    `figures`: the number of events and users, and `compared`: a line for the challenger and for each other.
    """

    outcome: VerdictOutcome
    reason: str
    figures: dict[str, Any]


def judge(
    users: IntArray,
    challenger: TrialResult,
    champion: TrialResult | None = None,
    *,
    anchor: TrialResult | None = None,
    baselines: Mapping[str, TrialResult] | None = None,
    rules: GateRules | None = None,
) -> Verdict:
    """The verdict on trials of the same slice; (q,) `users` of its queries. Without a champion it needs baselines."""
    rules, baselines = rules or GateRules(), baselines or {}
    comparisons = _comparisons(users, challenger, champion, anchor, baselines, rules)
    own = bootstrap_over_users(ndcg(challenger.ranks, 10), users, num_resamples=NUM_RESAMPLES)
    lines = [{"name": CHALLENGER, "ndcg_10": _rounded(own)}, *(comparison.to_json() for comparison in comparisons)]
    figures: dict[str, Any] = {"events": len(users), "users": len(np.unique(users)), "compared": lines}
    fault = _fault(challenger, champion or next(iter(baselines.values())), rules)
    if fault is not None:
        return Verdict("refuse", fault, figures)
    deciding = [comparison for comparison in comparisons if comparison.decides]
    worst = next(outcome for outcome in WORST_FIRST if any(each.outcome == outcome for each in deciding))
    if worst == "promote" and (len(users) < rules.min_events or figures["users"] < rules.min_users):
        wanted = f"wanted at least {rules.min_events} events of {rules.min_users} users"
        return Verdict("undecided", f"{wanted}, got {len(users)} of {figures['users']}", figures)
    return Verdict(worst, "; ".join(comparison.reason for comparison in deciding), figures)


def _comparisons(
    users: IntArray,
    challenger: TrialResult,
    champion: TrialResult | None,
    anchor: TrialResult | None,
    baselines: Mapping[str, TrialResult],
    rules: GateRules,
) -> list[GateComparison]:
    models = {CHAMPION: champion, ANCHOR: anchor}
    comparisons = [_compare(users, challenger, model, name, rules) for name, model in models.items() if model]
    for name, baseline in baselines.items():
        comparison = _compare(users, challenger, baseline, name, rules)
        if champion is not None:
            refuses = comparison.outcome == "refuse"
            refuses = refuses and _compare(users, champion, baseline, name, rules).outcome != "refuse"
            comparison = replace(comparison, decides=refuses)
        comparisons.append(comparison)
    return comparisons


def _compare(users: IntArray, model: TrialResult, other: TrialResult, name: str, rules: GateRules) -> GateComparison:
    theirs: Array = ndcg(other.ranks, 10)
    interval = bootstrap_over_users(theirs, users, num_resamples=NUM_RESAMPLES)
    difference = bootstrap_over_users(ndcg(model.ranks, 10) - theirs, users, num_resamples=NUM_RESAMPLES)
    margin = rules.margin * interval.mean
    outcome: VerdictOutcome = (
        "promote" if difference.low > -margin else "refuse" if difference.high < -margin else "undecided"
    )
    if difference.low == difference.high == 0 and margin == 0:
        outcome = "undecided"  # no hits at all: the interval is meaningless
    return GateComparison(name, interval, difference, margin, outcome)


def _rounded(interval: Interval) -> dict[str, float]:
    return {name: round(value, 5) for name, value in asdict(interval).items()}


def _fault(challenger: TrialResult, champion: TrialResult, rules: GateRules) -> str | None:
    """The sanity check that fails, if any."""
    if not challenger.is_finite:
        return "its scores are not all finite numbers"
    if challenger.num_shown < rules.min_coverage * champion.num_shown:
        return f"its lists name {challenger.num_shown} different items, the champion's {champion.num_shown}"
    limit = max(rules.max_top_share, rules.max_top_growth * champion.top_share)
    if champion.ms_per_user and challenger.top_share > limit:
        return (
            f"one item comes first for {challenger.top_share:.0%} of users, for the champion {champion.top_share:.0%}"
        )
    slow_ms = max(rules.free_ms, rules.max_slowdown * champion.ms_per_user)
    if champion.ms_per_user and challenger.ms_per_user > slow_ms:
        took, usual = f"{challenger.ms_per_user:.1f} ms of CPU", f"{champion.ms_per_user:.1f} ms"
        return f"encoding a user takes {took}, for the champion {usual}"
    return None
