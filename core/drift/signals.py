"""Drift signals: group closed buckets into blocks with enough observations, and compare each with its expectation.

Independent of detectors and alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np

from core.drift.blocks import Block, Values
from core.drift.expectations import BlockComparison, Expectation
from core.drift.lag import GROWTH, Lag
from core.records.drift import Bucket


class Sums(NamedTuple):
    """The number of observations of a bucket, and their summed values."""

    num: float
    values: Values


class Reading(NamedTuple):
    """A block of a signal. `surprise`: its z-score; None while the expectation is being learned."""

    start_ms: int
    end_ms: int
    comparison: BlockComparison
    surprise: float | None


class BlockShape(TypedDict):
    """The smallest block, in observations and time, and the time without surprises at the start."""

    block: int
    span_ms: int
    warmup_ms: int


@dataclass
class _Warmup:
    """The period after the first event without alarms."""

    length_ms: int
    first_ms: int | None = None

    def is_over(self, time_ms: int) -> bool:
        """Whether it has ended at `time_ms`; the first call starts it."""
        self.first_ms = time_ms if self.first_ms is None else self.first_ms
        return time_ms >= self.first_ms + self.length_ms


class Signal:
    """Reads blocks of buckets against an expectation. There is no surprise before the warm-up is over."""

    def __init__(
        self,
        sums_of: Callable[[Bucket], Sums | None],
        expectation: Expectation,
        *,
        block: int,
        span_ms: int = 0,
        warmup_ms: int = 0,
        lag: float = GROWTH,
    ) -> None:
        """`block`, `span_ms`: the smallest block. `lag`: the growth of the lag before a block is learned."""
        self._sums_of = sums_of
        self.expectation = expectation
        self._size, self._span_ms = block, span_ms
        self._warmup = _Warmup(warmup_ms)
        self._block = Block()
        self._growth = lag
        self._lag: Lag[tuple[Block, BlockComparison]] = Lag(lag)

    def sums(self, bucket: Bucket) -> Sums | None:
        """The observations of a bucket."""
        return self._sums_of(bucket)

    def comparable(self, block: Block) -> Block:
        """A block with what it is compared by, which is all that is learned unless it can't be compared yet."""
        return block

    def collect(self, bucket: Bucket) -> Block | None:
        """Add a bucket; the block if it is full."""
        sums = self.sums(bucket)
        if sums is None or not sums.num:
            return None
        self._block.add(bucket.start_ms, sums.num, sums.values)
        if not self._block.is_full(num=self._size, span_ms=self._span_ms):
            return None
        block, self._block = self._block, Block()
        return block

    def read(self, block: Block) -> Reading:
        """Compare a block with the expectation, and learn it after the lag."""
        comparison = self.expectation.compare(self.comparable(block))
        is_warm = self._warmup.is_over(block.start_ms)
        surprise = self.expectation.surprise(comparison) if is_warm else None
        for released in self._lag.put(block.end_ms, (block, comparison), ready=surprise is not None):
            self.expectation.learn(*released)
        return Reading(block.start_ms, block.end_ms, comparison, surprise)

    def settle(self, onset_ms: int) -> Expectation:
        """Make the state since a change the expectation; returns the one from before it."""
        waiting = self._lag.drain()
        for block, comparison in waiting:
            if block.end_ms <= onset_ms:
                self.expectation.learn(block, comparison)
        before = deepcopy(self.expectation)
        self.expectation.forget()
        for block, comparison in waiting:
            if block.start_ms >= onset_ms:
                self.expectation.learn(block, comparison._replace(expected=None, deviation=np.nan))
        self._block, self._lag = Block(), Lag(self._growth)  # what is collected is partly from before
        return before

    def restore(self, expectation: Expectation) -> None:
        """Return to an earlier expectation."""
        self.expectation, self._lag = expectation, Lag(self._growth)
