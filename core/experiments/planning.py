"""Planning: how many users an experiment needs to find a lift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from core.experiments.comparison import ERROR, boundary

POWER = 0.8
MAX_USERS = 10**12


def users_needed(
    difference: float,
    *,
    variance: float,
    shares: Sequence[float] = (0.5, 0.5),
    answers_per_user: float = 1.0,
    error: float = ERROR,
    power: float = POWER,
) -> int:
    """Users in both arms together so that a true difference is found by then with probability `power` at least.

    `variance`: of one user's share in the metric (`UserSums.variance`). `shares`: of the control and the arm. Half the
    experiments end earlier, because a look at any time may be the last. Raises ValueError for a difference of 0 or one
    that would need more than 10^12 users.
    """
    if not difference or not math.isfinite(difference):
        msg = f"difference: wanted a finite number other than 0, got {difference}"
        raise ValueError(msg)
    quantile = NormalDist().inv_cdf(power)
    total = math.fsum(shares)
    variance *= math.fsum(total / share for share in shares)

    def is_found(users: int) -> bool:
        wanted = boundary(users * answers_per_user, error=error) + quantile
        return difference**2 * users >= variance * wanted**2

    if not is_found(MAX_USERS):
        msg = f"difference: {difference:g} would need more than {MAX_USERS:,} users"
        raise ValueError(msg)
    low, high = 0, MAX_USERS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high


def rate_variance(rate: float, *, answers_per_user: float = 1.0, correlation: float = 0.0) -> float:
    """The variance of one user's share in a rate per answer, for plans without data.

    `correlation`: of two answers to the same user (L. Kish, Survey Sampling, 1965: design effect); .01 to .1 is common.
    """
    return rate * (1 - rate) * (1 + (answers_per_user - 1) * correlation) / answers_per_user
