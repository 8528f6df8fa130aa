"""The gate: three verdicts from paired trials with users resampled, baselines, an anchor, and sanity checks."""

from __future__ import annotations

import numpy as np
import pytest

from core.learn.gate import GateRules, Verdict, judge
from core.learn.trial import TrialResult

NUM_USERS, PER_USER = 100, 4
USERS = np.repeat(np.arange(NUM_USERS), PER_USER)
MISS, HIT = 1000.0, 0.0


def trial(hits: np.ndarray, *, num_items: int = 50, ms: float = 1.0) -> TrialResult:
    """A trial that hits (NDCG 1) where told, and names `num_items` different items evenly."""
    top = np.arange(len(hits) * 10).reshape(-1, 10) % num_items
    return TrialResult(np.where(hits, HIT, MISS), top, ms)


def share(of: float, *, seed: int = 0, users: int = NUM_USERS) -> np.ndarray:
    return np.random.default_rng(seed).random(users * PER_USER) < of


HALF = share(0.5)


def flipped(hits: np.ndarray, indices: slice | np.ndarray, to: bool) -> np.ndarray:
    changed = hits.copy()
    changed[indices] = to
    return changed


def test_a_challenger_that_does_the_same_is_promoted() -> None:
    verdict = judge(USERS, trial(HALF), trial(HALF))
    assert verdict.outcome == "promote"
    assert "+0.0000 NDCG@10" in verdict.reason


def test_a_clearly_better_one_is_promoted_and_the_figures_say_by_how_much() -> None:
    verdict = judge(USERS, trial(share(0.9, seed=1)), trial(HALF))
    assert verdict.outcome == "promote"
    assert (verdict.figures["events"], verdict.figures["users"]) == (400, 100)
    own, other = verdict.figures["compared"]
    assert (own["name"], other["name"], other["outcome"]) == ("challenger", "champion", "promote")
    assert other["difference"]["low"] > 0.2
    assert own["ndcg_10"]["mean"] - other["ndcg_10"]["mean"] == pytest.approx(other["difference"]["mean"], abs=1e-4)
    assert own["ndcg_10"]["low"] < own["ndcg_10"]["mean"] < own["ndcg_10"]["high"]


def test_a_clearly_worse_one_is_refused() -> None:
    verdict = judge(USERS, trial(share(0.2, seed=1)), trial(HALF))
    assert verdict.outcome == "refuse"
    assert verdict.reason.startswith("against the champion -0.")


def test_a_difference_within_chance_is_undecided() -> None:
    assert judge(USERS, trial(share(0.5, seed=7)), trial(share(0.5, seed=8))).outcome == "undecided"


def test_users_are_resampled_and_not_events() -> None:
    """One user's thousand lost events are one observation."""
    users = np.concatenate([np.zeros(1000, np.int64), USERS + 1])
    better = flipped(np.concatenate([np.zeros(1000, bool), HALF]), slice(1000, 1400), True)
    worse = np.concatenate([np.ones(1000, bool), HALF])
    assert judge(users, trial(better), trial(worse)).outcome == "undecided"


@pytest.mark.parametrize(("num_users", "per_user", "counts"), [(40, 1, "40 of 40"), (3, 100, "300 of 3")])
def test_promotion_needs_enough_events_and_users(num_users: int, per_user: int, counts: str) -> None:
    num = num_users * per_user
    verdict = judge(np.arange(num) % num_users, trial(np.ones(num, bool)), trial(np.zeros(num, bool)))
    assert (verdict.outcome, verdict.reason) == ("undecided", f"wanted at least 100 events of 20 users, got {counts}")


def test_anchor_prevents_small_losses_from_adding_up() -> None:
    anchor = trial(np.ones(400, bool))
    champion = trial(flipped(np.ones(400, bool), slice(0, 400, 12), False))
    challenger = trial(flipped(np.ones(400, bool), slice(0, 400, 11), False))
    rules = GateRules(margin=0.05)
    assert judge(USERS, challenger, champion, rules=GateRules(margin=0.2)).outcome == "promote"
    verdict = judge(USERS, challenger, champion, anchor=anchor, rules=rules)
    assert verdict.outcome == "refuse"
    assert "against the anchor" in verdict.reason


LOW, MIDDLE, HIGH = (trial(flipped(np.ones(400, bool), slice(0, num), False)) for num in (300, 200, 100))


def outcomes(verdict: Verdict) -> dict[str, str]:
    """The outcome of each comparison."""
    return {line["name"]: line["outcome"] for line in verdict.figures["compared"][1:]}


def test_a_first_model_must_be_as_good_as_every_baseline() -> None:
    baselines = {"popularity": LOW, "transition counts": HIGH}
    verdict = judge(USERS, MIDDLE, baselines=baselines)
    assert verdict.outcome == "refuse"
    assert outcomes(verdict) == {"popularity": "promote", "transition counts": "refuse"}
    assert "against transition counts -0.25" in verdict.reason
    assert judge(USERS, HIGH, baselines=baselines).outcome == "promote"


def test_a_first_model_within_chance_of_a_baseline_is_undecided() -> None:
    baselines = {"popularity": LOW, "transition counts": trial(share(0.5, seed=7))}
    assert judge(USERS, trial(share(0.5, seed=8)), baselines=baselines).outcome == "undecided"


def test_a_challenger_below_a_baseline_the_champion_reaches_is_refused() -> None:
    """Each of them loses a quarter of the hits, which is within the margin; together it is not."""
    challenger, champion = (trial(np.arange(400) % 4 >= num_lost) for num_lost in (2, 1))
    popularity = trial(np.ones(400, bool))
    verdict = judge(USERS, challenger, champion, baselines={"popularity": popularity}, rules=GateRules(margin=0.4))
    assert outcomes(verdict) == {"champion": "promote", "popularity": "refuse"}
    assert verdict.outcome == "refuse"
    assert "against popularity" in verdict.reason


def test_where_the_champion_is_below_a_baseline_a_better_challenger_serves() -> None:
    verdict = judge(USERS, MIDDLE, LOW, baselines={"popularity": HIGH})
    assert outcomes(verdict) == {"champion": "promote", "popularity": "refuse"}
    assert verdict.outcome == "promote"
    assert [line["decides"] for line in verdict.figures["compared"][1:]] == [True, False]


def test_with_a_champion_a_baseline_within_chance_delays_no_promotion() -> None:
    same = share(0.5, seed=7)
    verdict = judge(USERS, trial(same), trial(same), baselines={"popularity": trial(share(0.5, seed=8))})
    assert outcomes(verdict) == {"champion": "promote", "popularity": "undecided"}
    assert verdict.outcome == "promote"


def test_scores_that_are_not_finite_are_refused() -> None:
    broken = TrialResult(np.where(np.arange(400) == 7, np.nan, HIT), trial(HALF).top)
    assert judge(USERS, broken, trial(HALF)).reason == "its scores are not all finite numbers"


def test_lists_that_name_few_items_are_refused_however_good_they_are() -> None:
    verdict = judge(USERS, trial(np.ones(400, bool), num_items=20), trial(HALF, num_items=50))
    assert (verdict.outcome, verdict.reason) == ("refuse", "its lists name 20 different items, the champion's 50")


def test_one_item_before_all_others_is_refused() -> None:
    same_first = trial(np.ones(400, bool))
    same_first.top[:200, 0] = 3
    verdict = judge(USERS, same_first, trial(HALF))
    assert verdict.outcome == "refuse"
    assert "one item comes first for" in verdict.reason


@pytest.mark.parametrize(("ms", "outcome"), [(9.0, "promote"), (16.0, "refuse")])
def test_a_model_that_is_much_slower_is_refused(ms: float, outcome: str) -> None:
    assert judge(USERS, trial(HALF, ms=ms), trial(HALF, ms=5.0)).outcome == outcome


def test_against_popularity_neither_speed_nor_a_top_item_counts() -> None:
    popularity = TrialResult(trial(HALF).ranks, np.zeros((400, 10), np.int64))
    assert judge(USERS, trial(share(0.9), ms=50.0), baselines={"popularity": popularity}).outcome == "promote"


def test_where_nobody_hits_anything_nothing_is_known() -> None:
    nothing = trial(np.zeros(400, bool))
    assert judge(USERS, nothing, nothing).outcome == "undecided"
