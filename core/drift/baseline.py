"""Seasonal baselines: the expected value per hour of the week, learned online, so that daily rhythms raise no alarm.

Estimates shrink towards coarser ones: an hour of the week with few events towards the same hour of all days, and that
towards all hours. The past decays with `HALF_LIFE_MS`. Independent of where the numbers come from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.clock import HOUR_MS

FloatArray = NDArray[np.float64]

DAYS, HOURS = 7, 24
HALF_LIFE_MS = 21 * 24 * HOUR_MS
PRIOR_EVENTS = 200.0  # the weight, in events, of the coarser estimate of a mix
LEVEL_PRIOR_EVENTS = 50.0  # the same for a level
MAX_DOUBLINGS = 100  # of the weight of an event, before all weights are rescaled
KEPT_AFTER_CHANGE = 0.02  # the weight of the past after an alarm: the new state becomes the baseline


def hour_of_week(time_ms: int) -> tuple[int, int]:
    """The weekday, Monday 0, and the hour, in UTC."""
    hours = time_ms // HOUR_MS
    return (hours // HOURS + 3) % DAYS, hours % HOURS  # 1970-01-01 was a Thursday


class MixBaseline:
    """The expected shares of K kinds of events.

    Instead of decaying all counts, later events get a higher weight.
    """

    def __init__(self, num_kinds: int) -> None:
        self._all = np.zeros(num_kinds)
        self._hours = np.zeros((HOURS, num_kinds))
        self._week = np.zeros((DAYS, HOURS, num_kinds))
        self._from_ms: int | None = None

    def expected(self, time_ms: int) -> tuple[FloatArray, float]:
        """(K,) shares, and the effective number of events behind them."""
        day, hour = hour_of_week(time_ms)
        weight = self._weight(time_ms)
        known = float(self._all.sum()) / weight
        shares = (self._all / weight + 1 / len(self._all)) / (known + 1)
        for own in (self._hours[hour], self._week[day, hour]):
            num = float(own.sum()) / weight
            trust = num / (num + PRIOR_EVENTS)
            shares = trust * own / max(own.sum(), 1e-9) + (1 - trust) * shares
            known = 1 / max(trust / (num + PRIOR_EVENTS) + (1 - trust) ** 2 / max(known, 1e-9), 1e-9)
        return shares, known

    def learn(self, time_ms: int, counts: FloatArray) -> None:
        """Add (K,) counts."""
        day, hour = hour_of_week(time_ms)
        weighed = counts * self._weight(time_ms)
        self._all += weighed
        self._hours[hour] += weighed
        self._week[day, hour] += weighed

    def settle(self) -> None:
        """After an alarm: reduce the weight of the past to `KEPT_AFTER_CHANGE`."""
        for known in (self._all, self._hours, self._week):
            known *= KEPT_AFTER_CHANGE

    def _weight(self, time_ms: int) -> float:
        if self._from_ms is None:
            self._from_ms = time_ms
        elapsed = (time_ms - self._from_ms) / HALF_LIFE_MS
        if elapsed > MAX_DOUBLINGS:
            for known in (self._all, self._hours, self._week):
                known /= 2.0**elapsed
            self._from_ms, elapsed = time_ms, 0.0
        return float(2.0**elapsed)


class LevelEstimate(NamedTuple):
    """The expected mean of an hour. `num`: the number of events behind its level.

    `hour_variance`: of the hour's offset from the level, in variances of one event.
    """

    mean: float
    num: float
    hour_variance: float

    @property
    def level_variance(self) -> float:
        """Of the level, in the same unit; infinite where nothing is known."""
        return 1 / self.num if self.num else np.inf


class LevelBaseline:
    """The expected mean of a number from `low` to `high`: a level plus an offset per hour of the week."""

    def __init__(self, *, low: float = -np.inf, high: float = np.inf) -> None:
        self._low, self._high = low, high
        self._level, self._known = 0.0, 0.0
        self._sums = np.zeros((DAYS, HOURS))
        self._counts = np.zeros((DAYS, HOURS))
        self._newest_ms = 0
        self._offsets: FloatArray | None = None  # (7, 24), until the next block is learned

    def expected(self, time_ms: int) -> LevelEstimate:
        """The mean at a time."""
        place = hour_of_week(time_ms)
        mean = min(max(self._level + self._offset(*place), self._low), self._high)
        return LevelEstimate(mean, self._known, self._variance(*place))

    def learn(self, time_ms: int, num: int, value: float) -> None:
        """Add the mean of some events."""
        if time_ms > self._newest_ms:
            fade = np.exp2((self._newest_ms - time_ms) / HALF_LIFE_MS) if self._newest_ms else 1.0
            self._sums *= fade
            self._counts *= fade
            self._known *= float(fade)
            self._newest_ms = time_ms
        day, hour = hour_of_week(time_ms)
        offset = self._offset(day, hour)
        self._known += num
        self._level += (value - offset - self._level) * num / self._known
        self._sums[day, hour] += num * (value - self._level)
        self._counts[day, hour] += num
        self._offsets = None

    def settle(self) -> None:
        """After an alarm: relearn the level; the offsets of the hours stay."""
        self._known = 0.0

    def _offset(self, day: int, hour: int) -> float:
        """Of the hour of the day, plus that of the weekday, plus what is the hour of the week's own."""
        if self._offsets is None:
            prior = LEVEL_PRIOR_EVENTS
            of_hour = self._sums.sum(axis=0) / (self._counts.sum(axis=0) + prior)
            rest = (self._sums - self._counts * of_hour).sum(axis=1, keepdims=True)
            coarse = of_hour + rest / (self._counts.sum(axis=1, keepdims=True) + prior)
            self._offsets = (self._sums + prior * coarse) / (self._counts + prior)
        return float(self._offsets[day, hour])

    def _variance(self, day: int, hour: int) -> float:
        """Of the offset: the mean of n events, shrunk by the prior, has the variance n / (n + prior) ** 2."""
        own, of_hour, of_day = (
            float(num) for num in (self._counts[day, hour], self._counts[:, hour].sum(), self._counts[day].sum())
        )
        own_variance, *coarse = (num / (num + LEVEL_PRIOR_EVENTS) ** 2 for num in (own, of_hour, of_day))
        return own_variance + (LEVEL_PRIOR_EVENTS / (own + LEVEL_PRIOR_EVENTS)) ** 2 * sum(coarse)


class RunningZScore:
    """Running z-scores: the distance of a number from the running mean (or 0) in running standard deviations."""

    MEMORY = 300.0
    MIN_DEVIATION = 0.01  # against a division by 0 for constant numbers
    CLIP = 4.0  # outliers are clipped to that many deviations

    def __init__(self, *, centred: bool = True) -> None:
        """`centred`: whether the distance is from the running mean; else from 0."""
        self.num = 0
        self.mean, self._square = 0.0, 0.0
        self._centred = centred

    def score(self, value: float) -> float:
        """The z-score of a number, clipped, by the numbers before it."""
        return float(np.clip((value - self.mean) / self.deviation, -self.CLIP, self.CLIP))

    def learn(self, value: float) -> None:
        """Update with a number."""
        deviation = self.deviation
        if self.num > 10:
            value = float(np.clip(value, self.mean - self.CLIP * deviation, self.mean + self.CLIP * deviation))
        self.num += 1
        weight = max(1 / self.num, 1 / self.MEMORY)
        self.mean += weight * (value - self.mean) if self._centred else 0.0
        self._square += weight * (value * value - self._square)

    @property
    def deviation(self) -> float:
        """The running standard deviation."""
        # Few numbers underestimate the deviation; widening it keeps early false alarms rare.
        widened = 1 + 4 / max(self.num, 1)
        return max(float(np.sqrt(max(self._square - self.mean**2, 0.0) * widened)), self.MIN_DEVIATION)
