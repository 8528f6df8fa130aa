"""A change in a signal's readings: its onset, its size with an interval, and the slow kind that baselines follow.

Independent of which signal it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot

import numpy as np

from core.clock import DAY_MS
from core.drift.expectations import (
    BlockComparison,
    Expectation,
    LevelExpectation,
    SignalDifference,
    variance_of_difference,
)
from core.drift.signals import Reading

SURE_ERRORS = 3.0  # standard errors; more than for an interval, as the onset is chosen for the largest effect
Z95 = 1.96  # standard errors on both sides of a 95% interval
SLOW_MS = 7 * DAY_MS  # both sides of a slow change span a week, which evens out daily and weekly rhythms
SLOW_OBSERVATIONS = 400
SLOW_ERRORS = 5.0  # standard errors: it is tested at each block, for as long as the system runs


@dataclass(frozen=True, slots=True)
class SignalChange:
    """A signal's value since an onset, against what was expected there. `blocks`: since the onset."""

    onset_ms: int
    detected_ms: int
    difference: SignalDifference
    blocks: int

    @property
    def rises(self) -> bool:
        """Whether more was seen than expected."""
        return self.difference.effect > 0

    def is_at_least(self, smallest: float) -> bool:
        """Whether the effect is larger than a smallest one beyond doubt, in either direction."""
        return abs(self.difference.effect) - SURE_ERRORS * self.difference.error >= smallest

    def interval(self, *, low: float, high: float) -> tuple[float, float]:
        """The 95% interval of the value since the onset, within the signal's range."""
        _, after, error = self.difference
        return max(low, after - Z95 * error), min(high, after + Z95 * error)


def largest_change(readings: Sequence[Reading], expectation: Expectation) -> SignalChange:
    """The change at the most likely onset: where the surprises on both sides differ most."""
    surprises = np.array([reading.surprise for reading in readings])
    sums, ranks = np.cumsum(surprises)[:-1], np.arange(1, len(readings))
    cut = 0
    if len(ranks):
        differences = (sums - ranks * surprises.mean()) ** 2 / (ranks * (len(readings) - ranks))
        cut = 1 + int(differences.argmax())
    since = readings[cut:]
    difference = expectation.difference([reading.comparison for reading in since])
    return SignalChange(since[0].start_ms, since[-1].end_ms, difference, len(since))


@dataclass
class _Week:
    """Consecutive readings and their sums. They are enough once they span a week with enough observations."""

    readings: deque[Reading] = field(default_factory=deque)
    num: float = 0.0
    total: float = 0.0
    _variance: float | None = None  # of the readings as they are

    @property
    def comparisons(self) -> list[BlockComparison]:
        """Those of all readings."""
        return [each.comparison for each in self.readings]

    @property
    def variance(self) -> float:
        """Of the mean, in variances of one observation."""
        if self._variance is None:
            self._variance = variance_of_difference(self.comparisons)
        return self._variance

    def add(self, reading: Reading) -> None:
        """Add a reading."""
        self.readings.append(reading)
        self._count(reading.comparison, 1)

    def drop_oldest(self) -> None:
        """Drop readings that are not needed."""
        while len(self.readings) > 1 and self._is_enough(self.readings[1], self.readings[0].comparison.num):
            self._count(self.readings.popleft().comparison, -1)

    def is_enough(self) -> bool:
        """Whether the sums are of a week."""
        return bool(self.readings) and self._is_enough(self.readings[0], 0.0)

    def _is_enough(self, first: Reading, dropped: float) -> bool:
        return self.num - dropped >= SLOW_OBSERVATIONS and self.readings[-1].end_ms - first.start_ms >= SLOW_MS

    def _count(self, comparison: BlockComparison, sign: int) -> None:
        self._variance = None
        self.num += sign * comparison.num
        self.total += sign * comparison.num * comparison.value


class SlowChangeDetector:
    """Compares the newest week with the first one since the last change: the expected values follow a slow change."""

    def __init__(self, smallest: float) -> None:
        """`smallest`: the effect that matters."""
        self._smallest = smallest
        self._first, self._newest = _Week(), _Week()

    def read(self, reading: Reading, expectation: LevelExpectation) -> SignalChange | None:
        """Add a reading; the change if the two weeks differ by more than chance."""
        if not self._first.is_enough():
            self._first.add(reading)
            return None
        self._newest.add(reading)
        self._newest.drop_oldest()
        if not self._newest.is_enough():
            return None
        before, before_error = self._first.total / self._first.num, expectation.error(self._first.variance)
        effect = self._newest.total / self._newest.num - before
        least_error = hypot(before_error, expectation.error(1 / self._newest.num))  # if what was expected were certain
        if abs(effect) < max(self._smallest, SLOW_ERRORS * least_error):
            return None
        newest = expectation.difference(self._newest.comparisons)
        difference = SignalDifference(before, newest.after, hypot(before_error, newest.error))
        if abs(difference.effect) < SLOW_ERRORS * difference.error:
            return None
        return SignalChange(self._newest.readings[0].start_ms, reading.end_ms, difference, len(self._newest.readings))
