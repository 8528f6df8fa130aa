"""What is expected of an hour of a weekday: learned as time goes on, so that a known rhythm surprises nobody.

An hour of the week that has been seen often speaks for itself; one that has not leans on the same hour of any day, and
that on all hours. The past fades by half in `HALF_LIFE_MS`. Independent of where the numbers come from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.clock import HOUR_MS

FloatArray = NDArray[np.float64]

DAYS, HOURS = 7, 24
HALF_LIFE_MS = 21 * 24 * HOUR_MS
LEAN = 200.0  # how many events of its own make an hour of a mix count as much as what it leans on
LEVEL_LEAN = 50.0  # the same of a level
MAX_DOUBLINGS = 100  # of the weight of an event, before all weights are scaled back
KEPT_AFTER_CHANGE = 0.02  # what is left of the past once a change was noticed: the new state is the new normal


def hour_of_week(time_ms: int) -> tuple[int, int]:
    """The weekday, Monday 0, and the hour, in UTC."""
    hours = time_ms // HOUR_MS
    return (hours // HOURS + 3) % DAYS, hours % HOURS  # 1970-01-01 was a Thursday


class MixBaseline:
    """The expected shares of K kinds of events.

    Instead of fading all that is known, each event weighs more than those before it: nothing has to be swept.
    """

    def __init__(self, num_kinds: int) -> None:
        self._every = np.zeros(num_kinds)
        self._hours = np.zeros((HOURS, num_kinds))
        self._week = np.zeros((DAYS, HOURS, num_kinds))
        self._from_ms: int | None = None

    def expected(self, time_ms: int) -> tuple[FloatArray, float]:
        """(K,) shares, and how many events would tell them as well."""
        day, hour = hour_of_week(time_ms)
        weight = self._weight(time_ms)
        known = float(self._every.sum()) / weight
        shares = (self._every / weight + 1 / len(self._every)) / (known + 1)
        for own in (self._hours[hour], self._week[day, hour]):
            num = float(own.sum()) / weight
            trust = num / (num + LEAN)
            shares = trust * own / max(own.sum(), 1e-9) + (1 - trust) * shares
            known = 1 / max(trust / (num + LEAN) + (1 - trust) ** 2 / max(known, 1e-9), 1e-9)
        return shares, known

    def learn(self, time_ms: int, counts: FloatArray) -> None:
        """Add (K,) counts."""
        day, hour = hour_of_week(time_ms)
        weighed = counts * self._weight(time_ms)
        self._every += weighed
        self._hours[hour] += weighed
        self._week[day, hour] += weighed

    def settle(self) -> None:
        """A change was noticed: little of the past counts from here on."""
        for known in (self._every, self._hours, self._week):
            known *= KEPT_AFTER_CHANGE

    def _weight(self, time_ms: int) -> float:
        if self._from_ms is None:
            self._from_ms = time_ms
        elapsed = (time_ms - self._from_ms) / HALF_LIFE_MS
        if elapsed > MAX_DOUBLINGS:
            for known in (self._every, self._hours, self._week):
                known /= 2.0**elapsed
            self._from_ms, elapsed = time_ms, 0.0
        return float(2.0**elapsed)


class LevelBaseline:
    """The expected mean of a number: a level, and by how much each hour of the week differs from it."""

    def __init__(self) -> None:
        self._level, self._known = 0.0, 0.0
        self._sums = np.zeros((DAYS, HOURS))
        self._counts = np.zeros((DAYS, HOURS))
        self._newest_ms = 0

    def expected(self, time_ms: int) -> tuple[float, float]:
        """The mean, and how many events its level is known from."""
        return self._level + self._offset(*hour_of_week(time_ms)), self._known

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

    def settle(self) -> None:
        """The level is another from here on; how the hours differ from it stays."""
        self._known = 0.0

    def _offset(self, day: int, hour: int) -> float:
        daily = self._sums[:, hour].sum() / (self._counts[:, hour].sum() + LEVEL_LEAN)
        own_sum, own_count = self._sums[day, hour], self._counts[day, hour]
        return float((own_sum + LEVEL_LEAN * daily) / (own_count + LEVEL_LEAN))


class Standard:
    """Numbers as distances from their own running mean, in their own running deviation."""

    MEMORY = 300.0
    LEAST = 0.01  # of a deviation: what never differed may differ at last
    WILD = 4.0  # one wild number moves the mean no further than that many deviations would

    def __init__(self) -> None:
        self.num = 0
        self.mean, self._square = 0.0, 0.0

    def place(self, value: float) -> float:
        """How far out a number is, by those before it."""
        return float(np.clip((value - self.mean) / self._deviation(), -self.WILD, self.WILD))

    def learn(self, value: float) -> None:
        """Take a number in."""
        deviation = self._deviation()
        if self.num > 10:
            value = float(np.clip(value, self.mean - self.WILD * deviation, self.mean + self.WILD * deviation))
        self.num += 1
        weight = max(1 / self.num, 1 / self.MEMORY)
        self.mean += weight * (value - self.mean)
        self._square += weight * (value * value - self._square)

    def _deviation(self) -> float:
        # Few numbers underestimate their deviation by chance; the wider estimate keeps early surprises rare.
        widened = 1 + 4 / max(self.num, 1)
        return max(float(np.sqrt(max(self._square - self.mean**2, 0.0) * widened)), self.LEAST)
