"""Compares the mix of a period with that of a reference period: shares and numbers of events, with intervals.

Events of one visit are alike, so the standard error of a share is that between neighbouring blocks of its period (the
linearised ratio: Cochran, Sampling Techniques, 1977, 6.3; successive differences: Wolter, Introduction to Variance
Estimation, 2007, 8.2), and not smaller than that of independent events. Daily rhythm widens it, a change within the
period hardly: it is what is asked for. Pure functions, independent of stores and words.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray

from core.clock import DAY_MS
from core.drift.changes import SURE_ERRORS, Z95
from core.interests.mix import Mix

FloatArray = NDArray[np.float64]
Numbers = tuple[FloatArray, FloatArray]  # of a part and of all events, by block

MIN_BLOCKS = 7  # with events, in each period; fewer give no interval
SMALLEST_SHARE = 0.01
SMALLEST_GROWTH = 0.1


@dataclass(frozen=True, slots=True)
class PeriodChange:
    """A figure of a period beside that of the reference period. `smallest`: the difference that matters.

    `error`: the standard error of the difference; None where the periods have too few blocks with events.
    """

    name: str
    value: float
    reference: float
    error: float | None
    smallest: float

    @property
    def difference(self) -> float:
        """The value less the reference."""
        return self.value - self.reference

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of the difference."""
        if self.error is None:
            return None
        return self.difference - Z95 * self.error, self.difference + Z95 * self.error

    @property
    def is_significant(self) -> bool:
        """Whether the difference matters, and is three standard errors from none: many figures are compared."""
        if self.error is None:
            return False
        return abs(self.difference) >= max(self.smallest, SURE_ERRORS * self.error)


def share_changes(now: Mix, reference: Mix) -> list[PeriodChange]:
    """The share of each category, the largest first."""
    names = sorted({*now.categories, *reference.categories})
    tables = [_table(mix, names) for mix in (now, reference)]
    changes = [
        _share_change(name, *((table[:, column], table.sum(axis=1)) for table in tables))
        for column, name in enumerate(names)
    ]
    return sorted(changes, key=lambda change: (-max(change.value, change.reference), change.name))


def part_change(name: str, part: tuple[Mix, Mix], whole: tuple[Mix, Mix]) -> PeriodChange:
    """The share that a part has of all events; each pair: the period, and its reference."""
    sides = []
    for mix, all_events in zip(part, whole, strict=True):
        own = {block.start_ms: sum(block.events.values()) for block in mix.blocks}
        nums = [(own.get(block.start_ms, 0), sum(block.events.values())) for block in all_events.blocks]
        numbers = np.array(nums, np.float64).reshape(-1, 2)
        sides.append((numbers[:, 0], numbers[:, 1]))
    return _share_change(name, *sides)


def growth(now: Mix, reference: Mix) -> PeriodChange | None:
    """The mean number of events in a day, relative to that of the reference (which is 1); None without whole days."""
    days, before = _days(now), _days(reference)
    if not len(days) or not len(before) or before.mean() == 0:
        return None
    ratio = float(days.mean() / before.mean())
    error = None
    if min(len(days), len(before)) >= MIN_BLOCKS and ratio > 0:
        error = ratio * sqrt(sum(side.var(ddof=1) / len(side) / side.mean() ** 2 for side in (days, before)))
    return PeriodChange("events", ratio, 1.0, error, SMALLEST_GROWTH)


def _table(mix: Mix, names: list[str]) -> FloatArray:
    """(blocks, names) numbers of events."""
    rows = [[block.events.get(name, 0) for name in names] for block in mix.blocks]
    return np.array(rows, np.float64).reshape(len(rows), len(names))


def _share_change(
    name: str, now: tuple[FloatArray, FloatArray], reference: tuple[FloatArray, FloatArray]
) -> PeriodChange:
    (value, error), (before, error_before) = _share(*now), _share(*reference)
    of_both = None if error is None or error_before is None else hypot(error, error_before)
    return PeriodChange(name, value, before, of_both, SMALLEST_SHARE)


def _share(nums: FloatArray, totals: FloatArray) -> tuple[float, float | None]:
    """The share of a part over all blocks, and its standard error."""
    total = float(totals.sum())
    share = float(nums.sum()) / total if total else 0.0
    if len(totals) < MIN_BLOCKS:
        return share, None
    num_blocks = len(totals)
    steps = np.diff(nums - share * totals)
    between = num_blocks / (num_blocks - 1) * float((steps**2).sum()) / 2 / total**2
    smoothed = (float(nums.sum()) + 2) / (total + 4)  # Agresti and Coull, 1998: not 0 for a part without events
    return share, sqrt(max(between, smoothed * (1 - smoothed) / total))


def _days(mix: Mix) -> FloatArray:
    """The numbers of events of the whole days of a period, counted from its start."""
    nums = np.zeros(mix.period.length_ms // DAY_MS)
    for block in mix.blocks:
        day = (block.start_ms - mix.period.since_ms) // DAY_MS
        if day < len(nums):
            nums[day] += sum(block.events.values())
    return nums
