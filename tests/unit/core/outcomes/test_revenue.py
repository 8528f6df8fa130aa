"""Revenue per answer: its interval holds the truth as often as it says, and agrees with a bootstrap."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from core.arrays import DoubleArray
from core.outcomes.revenue import RevenueEstimate, mean_revenue

NUM_ANSWERS, BUYING = 20_000, 0.01
TRUTH = BUYING * math.exp(3 + 1 / 2)


def logs(num: int) -> Iterator[DoubleArray]:
    """(a,) revenues that are not 0, of answers of which 1% lead to a lognormal purchase."""
    random = np.random.default_rng(17)
    for _ in range(num):
        yield random.lognormal(3.0, 1.0, random.binomial(NUM_ANSWERS, BUYING))


def estimate(revenues: DoubleArray) -> RevenueEstimate | None:
    return mean_revenue(NUM_ANSWERS, float(revenues.sum()), float(revenues @ revenues))


def test_the_interval_holds_the_true_mean_in_94_to_95_of_100_logs() -> None:
    estimates = [each for each in map(estimate, logs(4_000)) if each is not None]
    assert len(estimates) > 0.98 * 4_000, "in the others a few purchases dominate"
    assert 0.933 < np.mean([each.low <= TRUTH <= each.high for each in estimates]) < 0.957
    assert np.mean([each.value for each in estimates]) == pytest.approx(TRUTH, rel=0.01)


def test_the_interval_is_that_of_a_bootstrap() -> None:
    random = np.random.default_rng(3)
    for revenues in logs(3):
        answers = np.concatenate([revenues, np.zeros(NUM_ANSWERS - len(revenues))])
        means = [answers[random.integers(0, NUM_ANSWERS, NUM_ANSWERS)].mean() for _ in range(2_000)]
        low, high = np.percentile(means, [2.5, 97.5])
        result = estimate(revenues)
        assert result is not None
        assert result.value == pytest.approx(answers.mean())
        assert (result.low, result.high) == pytest.approx((low, high), rel=0.03)


def test_one_purchase_that_dominates_the_sum_has_no_interval() -> None:
    revenues = np.full(200, 5.0)
    assert mean_revenue(NUM_ANSWERS, float(revenues.sum()), float(revenues @ revenues)) is not None
    revenues[0] = 5_000.0
    assert mean_revenue(NUM_ANSWERS, float(revenues.sum()), float(revenues @ revenues)) is None


@pytest.mark.parametrize(("num_answers", "total", "squares"), [(0, 0.0, 0.0), (9, 0.0, 0.0), (900, -5.0, 25.0)])
def test_nothing_sold_or_more_taken_back_has_no_interval(num_answers: int, total: float, squares: float) -> None:
    assert mean_revenue(num_answers, total, squares) is None
