"""Signals: closed buckets become blocks of enough events to tell, each with how far it is from what was expected.

Independent of detectors or alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple, Protocol

import numpy as np

from core.clock import HOUR_MS
from core.drift.baseline import FloatArray, LevelBaseline, MixBaseline, Standard
from core.drift.lag import GROWTH, Lag
from core.drift.records import BUCKET_MS, Bucket, BucketCounts

COUNT_BLOCK = 200  # events in a block of counts: a share of 10 % is then known to 2 %
SCORE_BLOCK = 25  # users scored in a block of scores
SEGMENT_BLOCK = 10  # the same of a segment, over an hour at least
MIN_BLOCKS = 10  # before it is known how far apart blocks are by chance
SETTLED_BLOCKS = 25  # the same after a change: its level is known from nothing but what came since
MIN_KNOWN = 200  # events before the expectation of a mix means anything


class Reading(NamedTuple):
    """One block of a signal. `surprise`: in deviations of this signal; None while it is still being learned."""

    start_ms: int
    end_ms: int
    num: int
    value: float
    expected: float | None
    surprise: float | None


class Signal(Protocol):
    """Buckets in, now and then a reading out. Nothing surprises before the `warmup_ms` after its first event."""

    def feed(self, bucket: Bucket) -> Reading | None:
        """Take a bucket in; a reading where it completes a block."""
        ...

    def settle(self) -> None:
        """The state of this moment is the new normal."""
        ...


@dataclass
class _Block:
    """Buckets that wait until there are enough of them; those of one hour together, since they are expected alike."""

    start_ms: int = 0
    end_ms: int = 0
    num: float = 0.0
    parts: list[tuple[int, float, FloatArray]] = field(default_factory=list)  # time, events, what they were

    def add(self, start_ms: int, num: float, what: FloatArray) -> None:
        """Take a bucket in."""
        self.start_ms = self.start_ms if self.parts else start_ms
        self.end_ms = start_ms + BUCKET_MS
        self.num += num
        if self.parts and self.parts[-1][0] // HOUR_MS == start_ms // HOUR_MS:
            first_ms, so_far, known = self.parts[-1]
            self.parts[-1] = (first_ms, so_far + num, known + what)
        else:
            self.parts.append((start_ms, num, what))

    def is_full(self, *, num: int, span_ms: int) -> bool:
        """Whether it holds enough events of a stretch that is long enough."""
        return self.num >= num and self.end_ms - self.start_ms >= span_ms


@dataclass
class _Warmup:
    """The time after the first event in which a signal is learned."""

    length_ms: int
    first_ms: int | None = None

    def is_over(self, time_ms: int) -> bool:
        """Whether it is, for a block that begins at `time_ms`; the first to ask begins it."""
        self.first_ms = time_ms if self.first_ms is None else self.first_ms
        return time_ms >= self.first_ms + self.length_ms


class MixSignal:
    """How far the mix of kinds of events is from the expected one: the share of events of another kind, 0 to 1."""

    def __init__(
        self,
        num_kinds: int,
        counts_of: Callable[[BucketCounts], dict[int, int]],
        *,
        warmup_ms: int = 0,
        lag: float = GROWTH,
    ) -> None:
        """`lag`: the growth of the lag with which blocks become expected."""
        self._num_kinds = num_kinds
        self._counts_of = counts_of
        self._warmup = _Warmup(warmup_ms)
        self._baseline = MixBaseline(num_kinds)
        self._strength, self._distance = Standard(), Standard()
        self._block = _Block()
        self._growth = lag
        self._lag: Lag[tuple[_Block, float, float]] = Lag(lag)

    def feed(self, bucket: Bucket) -> Reading | None:
        """A reading for every hour or more with enough events."""
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
        """What comes now is the new normal."""
        self._baseline.settle()
        self._strength, self._distance = Standard(), Standard()
        self._block, self._lag = _Block(), Lag(self._growth)

    def _read(self, block: _Block) -> Reading:
        found, wanted = np.zeros(self._num_kinds), np.zeros(self._num_kinds)
        known = np.inf
        for time_ms, num, counts in block.parts:
            shares, from_events = self._baseline.expected(time_ms)
            found, wanted, known = found + counts, wanted + num * shares, min(known, from_events)
        # An expectation from few events is off by itself: that much surprise is none.
        chi_square = float(((found - wanted) ** 2 / (wanted + 1)).sum() / (1 + block.num / max(known, 1.0)))
        strength, distance = float(np.log1p(chi_square)), float(np.abs(found - wanted).sum() / 2 / block.num)
        is_known = known >= MIN_KNOWN and self._strength.num >= MIN_BLOCKS
        ready = self._warmup.is_over(block.start_ms) and is_known  # in this order: the first to ask begins it
        surprise = self._strength.place(strength) if ready else None
        expected = self._distance.mean if is_known else None
        for due in self._lag.put(block.end_ms, (block, strength, distance), ready=ready):
            self._learn(*due, known=known)
        return Reading(block.start_ms, block.end_ms, int(block.num), distance, expected, surprise)

    def _learn(self, block: _Block, strength: float, distance: float, *, known: float) -> None:
        for time_ms, _num, counts in block.parts:
            self._baseline.learn(time_ms, counts)
        if known >= MIN_KNOWN:
            self._strength.learn(strength)
            self._distance.learn(distance)


class Sums(NamedTuple):
    """What a level is the mean of: how many, and their sum."""

    num: int
    total: float


class LevelSignal:
    """A mean: of scores, or of what holds for some of the events."""

    def __init__(self, sums_of: Callable[[Bucket], Sums], *, block: int, span_ms: int = 0, warmup_ms: int = 0) -> None:
        self._sums_of = sums_of
        self._size = block
        self._span_ms = span_ms
        self._warmup = _Warmup(warmup_ms)
        self._baseline = LevelBaseline()
        self._standard, self._min_blocks = Standard(), MIN_BLOCKS
        self._block = _Block()
        self._lag: Lag[tuple[_Block, float]] = Lag()

    def feed(self, bucket: Bucket) -> Reading | None:
        """A reading for every block with enough events."""
        sums = self._sums_of(bucket)
        if sums.num:
            self._block.add(bucket.start_ms, sums.num, np.asarray(sums.total))
        if not self._block.is_full(num=self._size, span_ms=self._span_ms):
            return None
        block, self._block = self._block, _Block()
        return self._read(block)

    def settle(self) -> None:
        """What comes now is the new normal; how the hours of the week differ from it stays known."""
        self._baseline.settle()
        self._standard, self._min_blocks = Standard(), SETTLED_BLOCKS
        self._block, self._lag = _Block(), Lag()

    def _read(self, block: _Block) -> Reading:
        value = float(sum(what for _, _, what in block.parts)) / block.num
        means = [(num, *self._baseline.expected(time_ms)) for time_ms, num, _ in block.parts]
        expected = sum(num * mean for num, mean, _ in means) / block.num
        known = means[0][2]
        deviation = (value - expected) / sqrt(1 / block.num + 1 / max(known, 1.0))
        is_known = known >= 3 * self._size
        ready = self._warmup.is_over(block.start_ms) and is_known and self._standard.num >= self._min_blocks
        surprise = self._standard.place(deviation) if ready else None
        for due in self._lag.put(block.end_ms, (block, deviation), ready=ready):
            self._learn(*due, is_known=is_known)
        return Reading(block.start_ms, block.end_ms, int(block.num), value, expected if is_known else None, surprise)

    def _learn(self, block: _Block, deviation: float, *, is_known: bool) -> None:
        for time_ms, num, what in block.parts:
            self._baseline.learn(time_ms, int(num), float(what / num))
        if is_known:
            self._standard.learn(deviation)
