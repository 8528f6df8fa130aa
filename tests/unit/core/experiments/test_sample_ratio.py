"""The sample ratio: evidence as a product of predictions, few false alarms at any time, and lost users noticed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.experiments.sample_ratio import CONCENTRATION, sample_ratio

SHARES = (0.2, 0.3, 0.5)


def predicted(arms: Sequence[int], shares: Sequence[float]) -> float:
    """The Bayes factor one user at a time: the predicted probability of each arm against its share."""
    weights = CONCENTRATION * np.array(shares)
    evidence = 0.0
    for arm in arms:
        evidence += math.log(weights[arm] / weights.sum() / shares[arm])
        weights[arm] += 1
    return evidence


@given(st.lists(st.integers(0, 2), max_size=50))
def test_the_evidence_is_the_product_of_predictions(arms: list[int]) -> None:
    counts = [arms.count(arm) for arm in range(3)]
    assert sample_ratio(counts, SHARES).evidence == pytest.approx(predicted(arms, SHARES), abs=1e-8)


def test_no_users_are_no_evidence() -> None:
    ratio = sample_ratio([0, 0], (0.5, 0.5))
    assert (ratio.evidence, ratio.is_mismatch, ratio.expected) == (0, False, (0, 0))


def test_shares_are_relative() -> None:
    assert sample_ratio([40, 60], (0.1, 0.1)) == sample_ratio([40, 60], (0.5, 0.5))
    assert sample_ratio([40, 60], (0.1, 0.3)).expected == pytest.approx((25, 75))


def test_false_alarms_are_rare_although_every_user_is_a_look() -> None:
    random, alarms = np.random.default_rng(1), 0
    for _ in range(50):
        arm = np.cumsum(random.random(2_000) < 0.5).tolist()
        alarms += any(sample_ratio((n - k, k), (0.5, 0.5), error=0.05).is_mismatch for n, k in enumerate(arm, 1))
    assert alarms <= 3


@pytest.mark.parametrize(("counts", "is_mismatch"), [((5_000, 4_900), False), ((5_000, 4_500), True)])
def test_an_arm_that_loses_a_tenth_of_its_users_is_noticed(counts: tuple[int, int], is_mismatch: bool) -> None:
    assert sample_ratio(counts, (0.5, 0.5)).is_mismatch is is_mismatch


def test_every_arm_needs_a_share() -> None:
    with pytest.raises(ValueError, match="counts: wanted one for each of at least two shares, got 1 for 2"):
        sample_ratio([1], (0.5, 0.5))
