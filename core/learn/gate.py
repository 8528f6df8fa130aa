"""The gate: may a challenger serve? Decided by paired trials on events that no model in them has learnt from.

Users are resampled, because events of one user depend on each other. With the 95% interval of (challenger - champion)
in NDCG@10, and a margin m that may be lost:

    promote     the lower bound is above -m
    refuse      the upper bound is below -m, or the challenger is not sane
    undecided   neither: the slice has to grow

An anchor, a champion of several promotions ago, is compared in the same way, so that losses each within the margin
can't add up. Independent of where trials come from or what is done with the verdict.
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
    """What a challenger must keep. `margin`: the share of the other's NDCG@10 that may be lost.

    Nobody is promoted on fewer than `min_events` events of `min_users` users: resampling a handful of users gives an
    interval far too narrow, and one user's events alone give none at all.

    Its first ten may name no fewer than `min_coverage` of the items that the champion's name; no item may come first
    for more than `max_top_share` of the users and `max_top_growth` times as many as with the champion; encoding may
    take `max_slowdown` times as long, and less than `free_ms` never counts as slow.
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
    """What the gate says, why, and the figures behind it."""

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
    """The verdict on trials of the same questions."""
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
        outcome, reason, found = _compare(users, challenger, other, rules)
        figures |= {name: found.pop("other"), f"against_{name}": found}
        outcomes.append(outcome)
        reasons.append(f"against the {name} {reason}")
    worst = next(one for one in ("refuse", "undecided", "promote") if one in outcomes)
    if worst == "promote" and (len(users) < rules.min_events or figures["users"] < rules.min_users):
        wanted = f"wanted at least {rules.min_events} events of {rules.min_users} users"
        return Verdict("undecided", f"{wanted}, got {len(users)} of {figures['users']}", figures)
    return Verdict(worst, "; ".join(reasons), figures)


def _compare(
    users: IntArray, challenger: TrialResult, other: TrialResult, rules: GateRules
) -> tuple[VerdictOutcome, str, dict[str, float]]:
    theirs = ndcg(other.ranks, 10)
    found: Interval = bootstrap_over_users(ndcg(challenger.ranks, 10) - theirs, users, num_resamples=NUM_RESAMPLES)
    margin = rules.margin * float(theirs.mean())
    outcome: VerdictOutcome = "promote" if found.low > -margin else "refuse" if found.high < -margin else "undecided"
    if found.low == found.high == 0 and margin == 0:
        outcome = "undecided"  # nobody hit anything: it says nothing
    figures = {"other": theirs.mean(), "mean": found.mean, "low": found.low, "high": found.high, "margin": margin}
    reason = f"{found.mean:+.4f} NDCG@10 [{found.low:+.4f}, {found.high:+.4f}], margin {margin:.4f}"
    return outcome, reason, {name: round(float(value), 5) for name, value in figures.items()}


def _fault(challenger: TrialResult, champion: TrialResult, rules: GateRules) -> str | None:
    """Why a challenger is not sane, if it is not."""
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
