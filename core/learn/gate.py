"""The promotion gate: a non-inferiority test of the challenger against the champion on events that neither trained on.

Users are resampled, because the events of a user are not independent. With the 95% interval of the difference in
NDCG@10 (challenger - champion) and a margin m:

    promote     the lower bound is above -m
    refuse      the upper bound is below -m, or a sanity check fails
    undecided   otherwise: more events are needed

An anchor, a champion of several promotions ago, is compared in the same way, so that losses within the margin do not
add up over promotions. Independent of how trials are run and of what follows from the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.arrays import IntArray
from core.evaluation.metrics import Interval, bootstrap_over_users, ndcg
from core.learn.trial import TrialResult

VerdictOutcome = Literal["promote", "refuse", "undecided"]
NUM_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class GateRules:
    """The thresholds of the gate. `margin`: the tolerated loss, as a share of the other model's NDCG@10.

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
class Verdict:
    """The gate's decision, its reason and its figures."""

    outcome: VerdictOutcome
    reason: str
    figures: dict[str, Any]


def judge(
    users: IntArray,
    challenger: TrialResult,
    champion: TrialResult,
    *,
    anchor: TrialResult | None = None,
    rules: GateRules | None = None,
) -> Verdict:
    """The verdict on trials of the same slice."""
    rules = rules or GateRules()
    figures: dict[str, Any] = {"events": len(users), "users": len(np.unique(users))}
    fault = _fault(challenger, champion, rules)
    if fault is not None:
        return Verdict("refuse", fault, figures)
    figures["challenger"] = round(float(ndcg(challenger.ranks, 10).mean()), 5)
    outcomes: list[VerdictOutcome] = []
    reasons: list[str] = []
    for name, other in (("champion", champion), ("anchor", anchor)):
        if other is None:
            continue
        outcome, reason, comparison = _compare(users, challenger, other, rules)
        figures |= {name: comparison.pop("other"), f"against_{name}": comparison}
        outcomes.append(outcome)
        reasons.append(f"against the {name} {reason}")
    worst = next(outcome for outcome in ("refuse", "undecided", "promote") if outcome in outcomes)
    if worst == "promote" and (len(users) < rules.min_events or figures["users"] < rules.min_users):
        wanted = f"wanted at least {rules.min_events} events of {rules.min_users} users"
        return Verdict("undecided", f"{wanted}, got {len(users)} of {figures['users']}", figures)
    return Verdict(worst, "; ".join(reasons), figures)


def _compare(
    users: IntArray, challenger: TrialResult, other: TrialResult, rules: GateRules
) -> tuple[VerdictOutcome, str, dict[str, float]]:
    theirs = ndcg(other.ranks, 10)
    interval: Interval = bootstrap_over_users(ndcg(challenger.ranks, 10) - theirs, users, num_resamples=NUM_RESAMPLES)
    margin = rules.margin * float(theirs.mean())
    outcome: VerdictOutcome = (
        "promote" if interval.low > -margin else "refuse" if interval.high < -margin else "undecided"
    )
    if interval.low == interval.high == 0 and margin == 0:
        outcome = "undecided"  # no hits at all: the interval is meaningless
    figures = {
        "other": theirs.mean(),
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "margin": margin,
    }
    reason = f"{interval.mean:+.4f} NDCG@10 [{interval.low:+.4f}, {interval.high:+.4f}], margin {margin:.4f}"
    return outcome, reason, {name: round(float(value), 5) for name, value in figures.items()}


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
        return f"encoding a user takes {challenger.ms_per_user:.1f} ms, for the champion {champion.ms_per_user:.1f} ms"
    return None
