"""Drift signals: group closed buckets into blocks with enough events, and compare each with its baseline.

Independent of detectors and alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple, Protocol

import numpy as np

from core.clock import HOUR_MS
from core.drift.baseline import FloatArray, LevelBaseline, MixBaseline, RunningZScore
from core.drift.lag import GROWTH, Lag
from core.drift_records import BUCKET_MS, Bucket, BucketCounts

COUNT_BLOCK = 200  # events in a block of counts: the standard error of a share of 10 % is then 2 %
SCORE_BLOCK = 25  # users scored in a block of scores
SEGMENT_BLOCK = 10  # the same for a segment, over at least an hour
MIN_BLOCKS = 10  # before the deviation between blocks is known
SETTLED_BLOCKS = 25  # the same after an alarm, when the level is relearned
MIN_KNOWN = 200  # events behind a usable expectation of a mix


class Reading(NamedTuple):
    """A block of a signal. `surprise`: its z-score; None while the baseline is being learned."""

    start_ms: int
    end_ms: int
    num: int
    value: float
    expected: float | None
    surprise: float | None


class Signal(Protocol):
    """Consumes buckets and emits readings. There is no surprise before `warmup_ms` after the first event."""

    def feed(self, bucket: Bucket) -> Reading | None:
        """Add a bucket; a reading if it completes a block."""
        ...

    def settle(self) -> None:
        """Make the current state the baseline."""
        ...


@dataclass
class _Block:
    """Buckets collected until they hold enough events; those of the same hour are joined, as they share a baseline."""

    start_ms: int = 0
    end_ms: int = 0
    num: float = 0.0
    parts: list[tuple[int, float, FloatArray]] = field(default_factory=list)  # time, number of events, their values

    def add(self, start_ms: int, num: float, values: FloatArray) -> None:
        """Add a bucket."""
        self.start_ms = self.start_ms if self.parts else start_ms
        self.end_ms = start_ms + BUCKET_MS
        self.num += num
        if self.parts and self.parts[-1][0] // HOUR_MS == start_ms // HOUR_MS:
            first_ms, so_far, known = self.parts[-1]
            self.parts[-1] = (first_ms, so_far + num, known + values)
        else:
            self.parts.append((start_ms, num, values))

    def is_full(self, *, num: int, span_ms: int) -> bool:
        """Whether it holds enough events and spans enough time."""
        return self.num >= num and self.end_ms - self.start_ms >= span_ms


@dataclass
class _Warmup:
    """The period after the first event without alarms."""

    length_ms: int
    first_ms: int | None = None

    def is_over(self, time_ms: int) -> bool:
        """Whether it has ended at `time_ms`; the first call starts it."""
        self.first_ms = time_ms if self.first_ms is None else self.first_ms
        return time_ms >= self.first_ms + self.length_ms


class MixSignal:
    """The total variation distance between the mix of event kinds and the expected mix, 0 to 1."""

    def __init__(
        self,
        num_kinds: int,
        counts_of: Callable[[BucketCounts], dict[int, int]],
        *,
        warmup_ms: int = 0,
        lag: float = GROWTH,
    ) -> None:
        """`lag`: the growth of the lag before a block is added to the baseline."""
        self._num_kinds = num_kinds
        self._counts_of = counts_of
        self._warmup = _Warmup(warmup_ms)
        self._baseline = MixBaseline(num_kinds)
        self._strength, self._distance = RunningZScore(), RunningZScore()
        self._block = _Block()
        self._growth = lag
        self._lag: Lag[tuple[_Block, float, float]] = Lag(lag)

    def feed(self, bucket: Bucket) -> Reading | None:
        """A reading per block of at least an hour with enough events."""
        counted = self._counts_of(bucket.counts)
        if counted:
            counts = np.zeros(self._num_kinds)
            counts[list(counted)] = list(counted.values())
            self._block.add(bucket.start_ms, sum(counted.values()), counts)
        if not self._block.is_full(num=COUNT_BLOCK, span_ms=HOUR_MS):
            return None
        block, self._block = self._block, _Block()
        return self._read(block)

    def settle(self) -> None:
        """Make the current mix the baseline."""
        self._baseline.settle()
        self._strength, self._distance = RunningZScore(), RunningZScore()
        self._block, self._lag = _Block(), Lag(self._growth)

    def _read(self, block: _Block) -> Reading:
        observed, expected_counts = np.zeros(self._num_kinds), np.zeros(self._num_kinds)
        known = np.inf
        for time_ms, num, counts in block.parts:
            shares, from_events = self._baseline.expected(time_ms)
            observed, expected_counts = observed + counts, expected_counts + num * shares
            known = min(known, from_events)
        # An expectation from few events is uncertain itself: subtract that from the surprise.
        chi_square = float(
            ((observed - expected_counts) ** 2 / (expected_counts + 1)).sum() / (1 + block.num / max(known, 1.0))
        )
        strength, distance = (
            float(np.log1p(chi_square)),
            float(np.abs(observed - expected_counts).sum() / 2 / block.num),
        )
        is_known = known >= MIN_KNOWN and self._strength.num >= MIN_BLOCKS
        ready = self._warmup.is_over(block.start_ms) and is_known  # in this order: the first call starts the warm-up
        surprise = self._strength.score(strength) if ready else None
        expected = self._distance.mean if is_known else None
        for released in self._lag.put(block.end_ms, (block, strength, distance), ready=ready):
            self._learn(*released, known=known)
        return Reading(block.start_ms, block.end_ms, int(block.num), distance, expected, surprise)

    def _learn(self, block: _Block, strength: float, distance: float, *, known: float) -> None:
        for time_ms, _num, counts in block.parts:
            self._baseline.learn(time_ms, counts)
        if known >= MIN_KNOWN:
            self._strength.learn(strength)
            self._distance.learn(distance)


class Sums(NamedTuple):
    """The number of values of a mean, and their sum."""

    num: int
    total: float


class LevelSignal:
    """A mean: of scores, or a share of events."""

    def __init__(self, sums_of: Callable[[Bucket], Sums], *, block: int, span_ms: int = 0, warmup_ms: int = 0) -> None:
        self._sums_of = sums_of
        self._size = block
        self._span_ms = span_ms
        self._warmup = _Warmup(warmup_ms)
        self._baseline = LevelBaseline()
        self._standard, self._min_blocks = RunningZScore(), MIN_BLOCKS
        self._block = _Block()
        self._lag: Lag[tuple[_Block, float]] = Lag()

    def feed(self, bucket: Bucket) -> Reading | None:
        """A reading per block with enough events."""
        sums = self._sums_of(bucket)
        if sums.num:
            self._block.add(bucket.start_ms, sums.num, np.asarray(sums.total))
        if not self._block.is_full(num=self._size, span_ms=self._span_ms):
            return None
        block, self._block = self._block, _Block()
        return self._read(block)

    def settle(self) -> None:
        """Make the current level the baseline; the offsets of the hours of the week stay."""
        self._baseline.settle()
        self._standard, self._min_blocks = RunningZScore(), SETTLED_BLOCKS
        self._block, self._lag = _Block(), Lag()

    def _read(self, block: _Block) -> Reading:
        value = float(sum(values for _, _, values in block.parts)) / block.num
        means = [(num, *self._baseline.expected(time_ms)) for time_ms, num, _ in block.parts]
        expected = sum(num * mean for num, mean, _ in means) / block.num
        known = means[0][2]
        deviation = (value - expected) / sqrt(1 / block.num + 1 / max(known, 1.0))
        is_known = known >= 3 * self._size
        ready = self._warmup.is_over(block.start_ms) and is_known and self._standard.num >= self._min_blocks
        surprise = self._standard.score(deviation) if ready else None
        for released in self._lag.put(block.end_ms, (block, deviation), ready=ready):
            self._learn(*released, is_known=is_known)
        return Reading(block.start_ms, block.end_ms, int(block.num), value, expected if is_known else None, surprise)

    def _learn(self, block: _Block, deviation: float, *, is_known: bool) -> None:
        for time_ms, num, values in block.parts:
            self._baseline.learn(time_ms, int(num), float(values / num))
        if is_known:
            self._standard.learn(deviation)
