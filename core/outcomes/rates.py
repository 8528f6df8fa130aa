"""Rates with confidence intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959964  # of a two-sided 95% interval


@dataclass(frozen=True, slots=True)
class RateEstimate:
    """A share of trials with its 95% interval, all from 0 to 1."""

    value: float
    low: float
    high: float


def rate(num: int, trials: int) -> RateEstimate | None:
    """The share of `trials` that are successes, with Wilson's score interval; None where there is no such share.

    Wilson (1927), JASA 22:209-212; recommended for small and large numbers by Brown, Cai and DasGupta (2001),
    Statistical Science 16:101-133. It takes trials as independent: one user's impressions are not, so that an
    experiment, which counts by user, has wider intervals.
    """
    if not 0 <= num <= trials or trials == 0:
        return None
    share, z2 = num / trials, Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return RateEstimate(share, centre - half if num else 0.0, centre + half if num < trials else 1.0)
