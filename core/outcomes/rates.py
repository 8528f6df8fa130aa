"""Rates with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import DoubleArray

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
    [low], [high] = wilson_bounds(np.array([num], np.float64), np.array([trials], np.float64))
    return RateEstimate(num / trials, float(low), float(high))


def wilson_bounds(nums: DoubleArray, trials: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """(n,) both bounds of the interval of `rate` for numbers of successes among trials, of which there are some."""
    shares, z2 = nums / trials, Z_95**2
    centres = (shares + z2 / (2 * trials)) / (1 + z2 / trials)
    halves = Z_95 / (1 + z2 / trials) * np.sqrt(shares * (1 - shares) / trials + z2 / (4 * trials**2))
    return np.where(nums > 0, centres - halves, 0.0), np.where(nums < trials, centres + halves, 1.0)
