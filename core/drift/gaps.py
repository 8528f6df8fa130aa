"""The signal of gaps between a user's events, without those that span a silence.

After an outage the first gap of every user is longer, which says nothing about users. A gap counted at a time `t` after
a silence that ended at `s` spans it exactly if it is longer than `t - s`. So lengths above that are not compared: they
get their expected share.
"""

from __future__ import annotations

from typing import Unpack

import numpy as np

from core.drift.expectations import MixExpectation
from core.drift.signals import BlockShape, Signal, Sums
from core.drift.silence import SilenceDetector
from core.records.drift import GAP_EDGES_S, NUM_GAPS, Bucket

_UPPER_MS = np.array([*GAP_EDGES_S, 2 * GAP_EDGES_S[-1]]) * 1000  # of each bin; the last one has none: twice its lower


class GapSignal(Signal):
    """The mix of gap lengths. Learned without a lag: in a young shop the share of long gaps grows by itself."""

    def __init__(self, silences: SilenceDetector, **shape: Unpack[BlockShape]) -> None:
        self._silences = silences
        super().__init__(_gaps, MixExpectation(NUM_GAPS), lag=0.0, **shape)

    def sums(self, bucket: Bucket) -> Sums:
        """The gaps of a bucket by length; lengths that can span the newest silence as expected."""
        num, counts = _gaps(bucket)
        silence = self._silences.newest
        if silence is None or not num:
            return Sums(num, counts)
        unknown = bucket.start_ms - silence.end_ms < _UPPER_MS
        if not unknown.any():
            return Sums(num, counts)
        assert isinstance(self.expectation, MixExpectation)
        filled = self.expectation.fill(bucket.start_ms, np.asarray(counts), unknown)
        return Sums(float(filled.sum()), filled)


def _gaps(bucket: Bucket) -> Sums:
    counts = np.zeros(NUM_GAPS)
    counts[list(bucket.counts.gaps)] = list(bucket.counts.gaps.values())
    return Sums(float(counts.sum()), counts)
