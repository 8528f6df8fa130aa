"""What is expected of a signal, learned from its blocks: a level with a rhythm, or a mix of kinds.

A block is compared before it is learned. Independent of detectors and alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from core.drift.baseline import (
    DAYS,
    HOURS,
    FloatArray,
    LevelBaseline,
    MixBaseline,
    OffsetVariances,
    RunningZScore,
    hour_of_week,
)
from core.drift.blocks import Block

MIN_BLOCKS = 10  # before the deviation between blocks is known
MIN_KNOWN = 200  # events behind a usable expectation of a mix
KNOWN_BLOCKS = 3  # the same of a level, in blocks


class HourUncertainty(NamedTuple):
    """How uncertain the expected mean of a block's `num` observations of one hour of the week was.

    `level_variance`, `offset`: of the level and of the hour's offset from it, in variances of one observation.
    """

    hour: tuple[int, int]
    num: float
    level_variance: float
    offset: OffsetVariances


class BlockComparison(NamedTuple):
    """A block against what was expected of it.

    `value`, `expected`: of the block; `expected` is None while too little is known. `deviation`: what the z-score is
    computed from. `moved`: a number or (K,) how much more was observed than expected, summed over `num` observations.
    `hours`: of a level.
    """

    num: float
    value: float
    expected: float | None
    deviation: float
    moved: NDArray[np.float32] | float
    hours: tuple[HourUncertainty, ...] = ()


class SignalDifference(NamedTuple):
    """Several blocks together against what was expected of them. `error`: the standard error of `after` − `before`."""

    before: float
    after: float
    error: float

    @property
    def effect(self) -> float:
        """The size, in the signal's unit; negative for a fall."""
        return self.after - self.before


class Expectation(Protocol):
    """Compares blocks with what it has learned."""

    def compare(self, block: Block) -> BlockComparison:
        """A block against the expectation."""
        ...

    def surprise(self, comparison: BlockComparison) -> float | None:
        """The z-score of a comparison; None while too few blocks are known."""
        ...

    def difference(self, comparisons: Sequence[BlockComparison]) -> SignalDifference:
        """Blocks together; all have an expected value."""
        ...

    def learn(self, block: Block, comparison: BlockComparison) -> None:
        """Add a block to the expectation."""
        ...

    def forget(self) -> None:
        """Keep little of the past: what comes next is the new normal."""
        ...


class LevelExpectation:
    """The expected mean of a number within `low` and `high`.

    The z-score is not centred on earlier deviations, so that a gap to the expected value is seen while it lasts.
    """

    def __init__(self, block: int, *, low: float = 0.0, high: float = np.inf) -> None:
        """`block`: the number of observations of a block."""
        self._min_known = KNOWN_BLOCKS * block
        self._baseline = LevelBaseline(low=low, high=high)
        # Of one observation around what was expected. It holds the errors of that, so that no rhythm is made of them.
        self._spread = RunningZScore(centred=False)

    def compare(self, block: Block) -> BlockComparison:
        """The block's mean against the level of its hours."""
        value = float(sum(values for _, _, values in block.parts)) / block.num
        means = [(time_ms, num, self._baseline.expected(time_ms)) for time_ms, num, _ in block.parts]
        expected = sum(num * estimate.mean for _, num, estimate in means) / block.num
        hours = tuple(
            HourUncertainty(hour_of_week(time_ms), num, estimate.level_variance, estimate.offset)
            for time_ms, num, estimate in means
        )
        deviation = (value - expected) / sqrt(1 / block.num + _variance_of_expected(hours))
        usable = expected if means[0][2].num >= self._min_known else None
        return BlockComparison(block.num, value, usable, deviation, block.num * (value - expected), hours)

    def surprise(self, comparison: BlockComparison) -> float | None:
        """The deviation in the running standard deviations of an observation."""
        usable = comparison.expected is not None and self._spread.num >= MIN_BLOCKS
        return self._spread.score(comparison.deviation) if usable else None

    def difference(self, comparisons: Sequence[BlockComparison]) -> SignalDifference:
        """The mean of blocks against the mean that was expected."""
        num = sum(each.num for each in comparisons)
        after = sum(each.num * each.value for each in comparisons) / num
        effect = sum(float(each.moved) for each in comparisons) / num
        return SignalDifference(after - effect, after, self.error(variance_of_difference(comparisons)))

    def error(self, variance: float) -> float:
        """The standard error of a mean of this variance, in variances of one observation."""
        return self._spread.deviation * sqrt(variance)

    def learn(self, block: Block, comparison: BlockComparison) -> None:
        """Add a block."""
        noise = self._spread.deviation**2 if self._spread.num >= MIN_BLOCKS else None
        for time_ms, num, values in block.parts:
            self._baseline.learn(time_ms, num, float(values / num), noise)
        if comparison.expected is not None:
            self._spread.learn((comparison.value - comparison.expected) * sqrt(comparison.num))

    def forget(self) -> None:
        """Relearn the level, and soon the spread between blocks; the rhythm stays."""
        self._baseline.settle()
        self._spread.forget()


def variance_of_difference(comparisons: Sequence[BlockComparison]) -> float:
    """Of the mean of blocks of a level against what was expected, in variances of one observation."""
    num = sum(each.num for each in comparisons)
    return 1 / num + _variance_of_expected([hour for each in comparisons for hour in each.hours])


def _variance_of_expected(hours: Sequence[HourUncertainty]) -> float:
    """Of the expected mean of observations, in variances of one observation.

    The error of the level is that of all observations, the errors of an hour's offset are those of all observations of
    that hour of the week, that hour of the day, and that weekday: many blocks of the same evenings know no better what
    to expect than one.
    """
    if len(hours) == 1:
        return min(hours[0].level_variance, 1.0) + sum(hours[0].offset)
    total = sum(each.num for each in hours)
    level = 0.0
    num_of: dict[int, float] = {}  # by part: an hour of the week from 0, of the day from -24, or a weekday from -31
    variance_of: dict[int, float] = {}
    for (day, hour), num, level_variance, (own, of_hour, of_day) in hours:
        level += num * min(level_variance, 1.0)
        for part, variance in ((day * HOURS + hour, own), (hour - HOURS, of_hour), (day - HOURS - DAYS, of_day)):
            if part not in num_of:
                num_of[part], variance_of[part] = num, variance
                continue
            num_of[part] += num
            if variance > variance_of[part]:
                variance_of[part] = variance
    return level / total + sum((num_of[part] / total) ** 2 * variance for part, variance in variance_of.items())


class MixExpectation:
    """The expected shares of K kinds; the value of a block is its total variation distance from them, 0 to 1."""

    def __init__(self, num_kinds: int) -> None:
        self._num_kinds = num_kinds
        self._baseline = MixBaseline(num_kinds)
        self._strength, self._distance = RunningZScore(), RunningZScore()

    def compare(self, block: Block) -> BlockComparison:
        """The block's mix against the one of its hours; the expected distance is the usual one of equal mixes."""
        observed, expected_counts, known = np.zeros(self._num_kinds), np.zeros(self._num_kinds), np.inf
        for time_ms, num, counts in block.parts:
            shares, from_events = self._baseline.expected(time_ms)
            observed, expected_counts = observed + counts, expected_counts + num * shares
            known = min(known, from_events)
        # An expectation from few events is uncertain itself: subtract that from the surprise.
        distances = (observed - expected_counts) ** 2 / (expected_counts + 1)
        chi_square = float(distances.sum() / (1 + block.num / max(known, 1.0)))
        moved = observed - expected_counts
        value = float(np.abs(moved).sum() / 2 / block.num)
        if known < MIN_KNOWN:
            return BlockComparison(block.num, value, None, np.nan, moved.astype(np.float32))
        usual = max(self._distance.mean, 0.0) if self._strength.num >= MIN_BLOCKS else None
        return BlockComparison(block.num, value, usual, float(np.log1p(chi_square)), moved.astype(np.float32))

    def surprise(self, comparison: BlockComparison) -> float | None:
        """How far the evidence against the expected mix is above its usual value."""
        return None if comparison.expected is None else self._strength.score(comparison.deviation)

    def difference(self, comparisons: Sequence[BlockComparison]) -> SignalDifference:
        """The distance of all blocks' mix, beyond what is usual by chance for as many observations."""
        num, blocks = sum(each.num for each in comparisons), len(comparisons)
        moved = np.sum([np.asarray(each.moved) for each in comparisons], axis=0)
        usual = sum(each.num * (each.expected or 0.0) for each in comparisons) / num
        return SignalDifference(
            usual / sqrt(blocks), float(np.abs(moved).sum()) / 2 / num, self._distance.deviation / sqrt(blocks)
        )

    def learn(self, block: Block, comparison: BlockComparison) -> None:
        """Add a block."""
        for time_ms, _num, counts in block.parts:
            self._baseline.learn(time_ms, np.asarray(counts))
        if np.isfinite(comparison.deviation):
            self._strength.learn(comparison.deviation)
            self._distance.learn(comparison.value)

    def forget(self) -> None:
        """Reduce the weight of the past mix."""
        self._baseline.settle()
        self._strength, self._distance = RunningZScore(), RunningZScore()

    def fill(self, time_ms: int, counts: FloatArray, unknown: NDArray[np.bool_]) -> FloatArray:
        """(K,) counts whose kinds of `unknown`, (K,) booleans, have their expected share of the others' counts."""
        shares, _ = self._baseline.expected(time_ms)
        known = float(shares[~unknown].sum())
        filled: FloatArray = np.where(unknown, shares * counts[~unknown].sum() / max(known, 1e-9), counts)
        return filled
