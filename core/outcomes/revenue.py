"""Revenue per answer or per user with a confidence interval, from three sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.outcomes.rates import Z_95

MIN_EFFECTIVE_SIZE = 30  # answers or users with equal revenues that would be as uncertain


@dataclass(frozen=True, slots=True)
class RevenueEstimate:
    """Mean revenue per answer or user with its 95% interval, in the unit of the purchases' values.

    The interval of the sum is that times their number.
    """

    value: float
    low: float
    high: float


def mean_revenue(num: int, total: float, squares: float) -> RevenueEstimate | None:
    """The mean of the revenues of answers, or of users, most of which are 0; None where too few are not.

    `total`, `squares`: the sum of the revenues of `num` answers or users, and of their squares. The interval is that of
    the delta method on the log scale (L. Wasserman, "All of Statistics", 2004, section 9.9), mean * exp(+-z * standard
    error / mean), as revenues are positive and skewed. It needs `total`^2 / `squares` of at least 30, Kish's effective
    sample size (L. Kish, "Survey Sampling", 1965): a few large purchases that dominate the sum say little about the
    next ones. Of logs with 200 lognormal purchases (sigma 1) it holds the truth in 94%, and agrees with a bootstrap:
    `tests/unit/core/outcomes/test_revenue.py`. They are taken as independent, which answers to the same user are not.
    """
    if num < 2 or total <= 0 or squares <= 0 or total * total / squares < MIN_EFFECTIVE_SIZE:
        return None
    mean = total / num
    variance = max(squares - total * mean, 0.0) / (num - 1)
    ratio = math.exp(Z_95 * math.sqrt(variance / num) / mean)
    return RevenueEstimate(mean, mean / ratio, mean * ratio)
