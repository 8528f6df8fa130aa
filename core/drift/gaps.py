"""The signal of gaps between a user's events, without those that span a silence or the beginning of the log.

After an outage the first gap of every user is longer, which says nothing about users. A gap counted at a time `t` after
a silence that ended at `s` spans it exactly if it is longer than `t - s`. So lengths above that are not compared: they
get their expected share. In a young log no gap is longer than the log is old, so that long ones become more frequent by
themselves: a length is learned from the start, and compared once the log is twice as old.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import numpy as np

from core.arrays import BoolArray
from core.drift.baseline import FloatArray
from core.drift.blocks import Block, Values
from core.drift.expectations import MixExpectation
from core.drift.signals import BlockShape, Signal, Sums
from core.drift.silence import SilenceDetector
from core.records.drift import GAP_EDGES_S, NUM_GAPS, Bucket

_UPPER_MS = np.array([*GAP_EDGES_S, 2 * GAP_EDGES_S[-1]]) * 1000  # of each bin; the last one has none: twice its lower


class GapSignal(Signal):
    """The mix of gap lengths. Learned without a lag: in a young shop the share of long gaps grows by itself."""

    def __init__(self, silences: SilenceDetector, **shape: Unpack[BlockShape]) -> None:
        self._silences = silences
        self._first_ms: int | None = None
        super().__init__(_gaps, MixExpectation(NUM_GAPS), lag=0.0, **shape)

    def sums(self, bucket: Bucket) -> Sums:
        """The gaps of a bucket by length; lengths that can span the newest silence as expected."""
        num, counts = _gaps(bucket)
        self._first_ms = bucket.start_ms if self._first_ms is None else self._first_ms
        silence = self._silences.newest
        if silence is None or not num:
            return Sums(num, counts)
        unknown = bucket.start_ms - silence.end_ms < _UPPER_MS
        if not unknown.any():
            return Sums(num, counts)
        filled = self._filled(bucket.start_ms, counts, unknown)
        return Sums(float(filled.sum()), filled)

    def comparable(self, block: Block) -> Block:
        """The block, where lengths for which the log is too young have their expected share."""
        assert self._first_ms is not None
        unknown = block.end_ms - self._first_ms < 2 * _UPPER_MS
        if not unknown.any():
            return block
        parts: list[tuple[int, float, Values]] = []
        for time_ms, _, counts in block.parts:
            filled = self._filled(time_ms, counts, unknown)
            parts.append((time_ms, float(filled.sum()), filled))
        num = sum(num for _, num, _ in parts)
        return replace(block, num=num, parts=parts) if num else block

    def _filled(self, time_ms: int, counts: Values, unknown: BoolArray) -> FloatArray:
        assert isinstance(self.expectation, MixExpectation)
        return self.expectation.fill(time_ms, np.asarray(counts), unknown)


def _gaps(bucket: Bucket) -> Sums:
    counts = np.zeros(NUM_GAPS)
    counts[list(bucket.counts.gaps)] = list(bucket.counts.gaps.values())
    return Sums(float(bucket.counts.gaps.total()), counts)
