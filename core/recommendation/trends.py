"""Trends: which items gain, told by comparing popularity now with popularity some hours ago.

A decayed count is a sum that only ever grows, so the difference of two of them is exactly what happened in between, and
remembering an array an hour is enough. Kept in memory: a process knows of the time since it started, up to a day. Knows
nothing about who asks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.clock import HOUR_MS
from core.recommendation.snapshot import ServingSnapshot, by_row

KEPT = 24

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Then:
    """Decayed log2 counts by item key, as they were."""

    time_ms: int
    keys: IntArray
    popularity: Scores


class Trends:
    """Remembers popularity, hour by hour. `note` is called by one thread, `gains` by any."""

    def __init__(self) -> None:
        self._kept: deque[_Then] = deque(maxlen=KEPT + 1)

    def note(self, snapshot: ServingSnapshot, now_ms: int) -> None:
        """Remember what is popular now, unless an hour has not passed since the last time."""
        if not self._kept or now_ms - self._kept[-1].time_ms >= HOUR_MS:
            self._kept.append(_Then(now_ms, snapshot.catalogue.keys, snapshot.popularity))

    def gains(self, snapshot: ServingSnapshot) -> tuple[Scores, int | None]:
        """(n,) how much each item gains, -inf where it does not, and since when; None before the first note.

        The gain is p log(p / q), p the item's share of what happened since then and q its share of what there was: an
        item that did well at all times gains nothing, nor does one that came from nothing to next to nothing.
        """
        gains = np.full(len(snapshot.catalogue), -np.inf)
        kept = list(self._kept)
        if not kept:
            return gains, None
        then = kept[0]
        before = by_row(snapshot.catalogue, then.keys, then.popularity)
        highest = snapshot.popularity.max(initial=-np.inf)
        if np.isfinite(highest):
            was = np.exp2(before - highest)
            new = np.maximum(0.0, np.exp2(snapshot.popularity - highest) - was)
            _fill(gains, new, was)
        return gains, then.time_ms


def _fill(gains: Scores, new: Scores, was: Scores) -> None:
    """Where a share has risen; one event's worth of each item is taken as seen before, lest one is divided by 0."""
    if not new.any():
        return
    smallest = new[new > 0].min()
    q = (was + smallest) / (was + smallest).sum()
    p = new / new.sum()
    rises = p > q
    gains[rises] = p[rises] * np.log(p[rises] / q[rises])
