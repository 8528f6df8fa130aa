"""Trends: the items that gain popularity, compared with some hours ago.

A decayed count only grows, so that the difference of two is exactly what happened in between, and one array per hour is
enough. Kept in memory: a process compares with its start, at most a day ago.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.clock import HOUR_MS
from core.recommendation.snapshots.popularity_rows import by_row
from core.recommendation.snapshots.snapshot import ServingSnapshot

NUM_HOURS = 24

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _PastPopularity:
    """Decayed log2 counts by item key at a past time."""

    time_ms: int
    keys: IntArray
    popularity: Scores


class Trends:
    """Keeps hourly copies of popularity. `note` is called by one thread, `gains` by any."""

    def __init__(self) -> None:
        self._kept: deque[_PastPopularity] = deque(maxlen=NUM_HOURS + 1)

    def note(self, snapshot: ServingSnapshot, now_ms: int) -> None:
        """Keep the current popularity, at most once an hour."""
        if not self._kept or now_ms - self._kept[-1].time_ms >= HOUR_MS:
            self._kept.append(_PastPopularity(now_ms, snapshot.catalogue.keys, snapshot.popularity))

    def gains(self, snapshot: ServingSnapshot) -> tuple[Scores, int | None]:
        """(n,) how much each item gains, -inf if it does not, and since when; None before the first note.

        The gain is p log(p / q), with p the item's share of the events since then and q its share of those before: an
        item that was always popular gains nothing, and an item with a few events gains little.
        """
        gains = np.full(len(snapshot.catalogue), -np.inf)
        kept = list(self._kept)
        if not kept:
            return gains, None
        past = kept[0]
        before = by_row(snapshot.catalogue, past.keys, past.popularity)
        highest = snapshot.popularity.max(initial=-np.inf)
        if np.isfinite(highest):
            old = np.exp2(before - highest)
            new = np.maximum(0.0, np.exp2(snapshot.popularity - highest) - old)
            _fill(gains, new, old)
        return gains, past.time_ms


def _fill(gains: Scores, new: Scores, old: Scores) -> None:
    """Fill in the gains of items whose share rose. Each item gets one event before, against a division by 0."""
    if not new.any():
        return
    smallest = new[new > 0].min()
    q = (old + smallest) / (old + smallest).sum()
    p = new / new.sum()
    rises = p > q
    gains[rises] = p[rises] * np.log(p[rises] / q[rises])
