"""Seasonal baselines: the expected value per hour of the week, learned online, so that daily rhythms raise no alarm.

Estimates shrink towards coarser ones: an hour of the week with few events towards the same hour of all days, and that
towards all hours. The past decays with `HALF_LIFE_MS`. Independent of where the numbers come from.
"""

from __future__ import annotations

from math import sqrt
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
            total = float(own.sum())
            num = total / weight
            trust = num / (num + PRIOR_EVENTS)
            shares = (trust / max(total, 1e-9)) * own + (1 - trust) * shares
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


class OffsetVariances(NamedTuple):
    """How uncertain the offset of an hour of the week is, by part, in variances of one event.

    `own`: what is the hour of the week's own. `of_hour`, `of_day`: what it shares with that hour of all days, and with
    all hours of that weekday.
    """

    own: float
    of_hour: float
    of_day: float


class LevelEstimate(NamedTuple):
    """The expected mean of an hour. `num`: the number of events behind its level. `offset`: of the hour's offset."""

    mean: float
    num: float
    offset: OffsetVariances

    @property
    def level_variance(self) -> float:
        """Of the level, in variances of one event; infinite where nothing is known."""
        return 1 / self.num if self.num else np.inf


class _Offsets(NamedTuple):
    """(7, 24) offsets of the hours of the week from the level, and (3, 7, 24) their variances by part."""

    means: FloatArray
    variances: FloatArray


class LevelBaseline:
    """The expected mean of a number from `low` to `high`: a level plus an offset per hour of the week.

    An offset is that of the hour of the day, plus that of the weekday, plus what is the hour of the week's own. Each
    part shrinks by its own prior, learned from how much its means differ beyond chance (empirical Bayes: Efron and
    Morris, 1973): without a rhythm the offsets are about 0 and certain, with one they follow it.
    """

    def __init__(self, *, low: float = -np.inf, high: float = np.inf) -> None:
        self._low, self._high = low, high
        self._level, self._known = 0.0, 0.0
        self._sums = np.zeros((DAYS, HOURS))  # of what was above the level
        self._counts = np.zeros((DAYS, HOURS))
        self._squares = 0.0  # of the weights of all events
        self._newest_ms = 0
        self._has_moved = False  # whether the level has changed, and is not only better known
        self._noise: float | None = None  # the variance of one event
        self._newest_hour: tuple[int, int] | None = None
        self._offsets: _Offsets | None = None  # until an event of another hour is learned

    def expected(self, time_ms: int) -> LevelEstimate:
        """The mean at a time."""
        (day, hour), offsets = hour_of_week(time_ms), self._learned_offsets()
        mean = min(max(self._level + float(offsets.means[day, hour]), self._low), self._high)
        return LevelEstimate(mean, self._known, OffsetVariances(*offsets.variances[:, day, hour].tolist()))

    def learn(self, time_ms: int, num: float, value: float, noise: float | None = None) -> None:
        """Add the mean of some events. `noise`: the variance of one event, where it is known."""
        if time_ms > self._newest_ms:
            fade: float = 2.0 ** ((self._newest_ms - time_ms) / HALF_LIFE_MS) if self._newest_ms else 1.0
            self._sums *= fade
            self._counts *= fade
            self._known *= fade
            self._squares *= fade**2
            self._newest_ms = time_ms
        place = hour_of_week(time_ms)
        if place != self._newest_hour:  # an hour's own events hardly move its offset: computed once an hour
            self._newest_hour, self._offsets = place, None
        offset = float(self._learned_offsets().means[place])
        self._known += num
        shift = (value - offset - self._level) * num / self._known
        self._level += shift
        if not self._has_moved:
            self._sums -= self._counts * shift
        self._sums[place] += num * (value - self._level)
        self._counts[place] += num
        self._squares += num
        self._noise = noise

    def settle(self) -> None:
        """After an alarm: relearn the level; the offsets of the hours stay."""
        self._known = 0.0
        self._has_moved = True

    def _learned_offsets(self) -> _Offsets:
        if self._offsets is None:
            effective = float(self._counts.sum()) / self._squares if self._squares else 1.0  # a mean of fading weights
            sums, counts = self._sums * effective, self._counts * effective
            of_hour, hour_prior = self._shrunk(sums.sum(axis=0), counts.sum(axis=0), free=1)
            rest = sums - counts * of_hour
            of_day, day_prior = self._shrunk(rest.sum(axis=1), counts.sum(axis=1), free=1)
            own, own_prior = self._shrunk(rest - counts * of_day[:, None], counts, free=HOURS + DAYS - 1)
            passed_on = (own_prior / (counts + own_prior)) ** 2  # of the errors of what is shared
            shared = (1 / (counts.sum(axis=0) + hour_prior), 1 / (counts.sum(axis=1) + day_prior)[:, None])
            variances = np.empty((3, DAYS, HOURS))
            variances[0] = 1 / (counts + own_prior)
            variances[1], variances[2] = (passed_on * variance for variance in shared)
            self._offsets = _Offsets(of_hour + of_day[:, None] + own, variances)
        return self._offsets

    def _shrunk(self, sums: FloatArray, counts: FloatArray, *, free: int) -> tuple[FloatArray, float]:
        """The shrunk means of cells, and their prior in events. `free`: means that were fitted to the cells before."""
        prior = LEVEL_PRIOR_EVENTS
        if self._noise:
            means = sums / np.maximum(counts, 1e-9)
            freedom = max(int(np.count_nonzero(counts)) - free, 1)
            # Differences beyond chance, with one standard error of them more: what seems equal may differ a little.
            beyond = float((sums * means).sum()) / self._noise - freedom + (2 * freedom) ** 0.5
            total = float(counts.sum())
            prior = max((total - float((counts**2).sum()) / total) / max(beyond, 1e-9), 1.0)
        return sums / (counts + prior), prior


class RunningZScore:
    """Running z-scores: the distance of a number from the running mean (or 0) in running standard deviations."""

    MEMORY = 300.0
    FEW = 30  # numbers that are kept in mind where they may vary differently from now on
    MIN_DEVIATION = 0.01  # against a division by 0 for constant numbers
    CLIP = 4.0  # outliers are learned as that many deviations
    LARGEST = 8.0  # score: enough to tell where a large change began

    def __init__(self, *, centred: bool = True) -> None:
        """`centred`: whether the distance is from the running mean; else from 0."""
        self.num = 0
        self.mean, self._square = 0.0, 0.0
        self._centred = centred

    def score(self, value: float) -> float:
        """The z-score of a number, clipped, by the numbers before it."""
        return min(max((value - self.mean) / self.deviation, -self.LARGEST), self.LARGEST)

    def learn(self, value: float) -> None:
        """Update with a number."""
        deviation = self.deviation
        if self.num > 10:
            value = min(max(value, self.mean - self.CLIP * deviation), self.mean + self.CLIP * deviation)
        self.num += 1
        weight = max(1 / self.num, 1 / self.MEMORY)
        self.mean += weight * (value - self.mean) if self._centred else 0.0
        self._square += weight * (value * value - self._square)

    def forget(self) -> None:
        """Follow what comes next more quickly."""
        self.num = min(self.num, self.FEW)

    @property
    def deviation(self) -> float:
        """The running standard deviation."""
        # Few numbers underestimate the deviation; widening it keeps early false alarms rare.
        widened = 1 + 4 / max(self.num, 1)
        return max(sqrt(max(self._square - self.mean**2, 0.0) * widened), self.MIN_DEVIATION)
