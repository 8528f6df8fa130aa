"""What answers say of the items that they show: integer key, whether the item is new, and its novelty in bits.

Novelty is the self-information of an item, -log2 of its share of all time-decayed popularity: a popular item says
little (Castells, Hurley and Vargas, Recommender Systems Handbook, 2015, "novelty and diversity"). An item without
events counts as the rarest item that has some.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from core.arrays import DoubleArray
from core.clock import DAY_MS
from core.recommendation.snapshots.snapshot import ServingSnapshot

NEW_ITEM_DAYS = 30
TOTALS_PERIOD_S = 60.0  # summing up the popularity of all items costs time in proportion to them


class ShownItem(NamedTuple):
    """An item as it was when it was shown. `novelty`: in bits; 0 before the first event of any item."""

    key: int
    is_new: bool
    novelty: float


class ShownItems:
    """Reads the serving snapshot. Used by one thread."""

    def __init__(
        self,
        snapshots: Callable[[], ServingSnapshot],
        *,
        new_item_days: float = NEW_ITEM_DAYS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshots = snapshots
        self._new_item_ms = new_item_days * DAY_MS
        self._seconds = seconds
        self._summed_s = -np.inf
        self._log2_total = 0.0
        self._rarest = -np.inf

    def facts(self, item_ids: Sequence[str], *, now_ms: int) -> dict[str, ShownItem]:
        """Of those of these items that the snapshot holds."""
        snapshot = self._snapshots()
        rows = snapshot.catalogue.rows_of_ids(list(item_ids))
        known = rows >= 0
        kept = rows[known]
        created = snapshot.catalogue.created_ms
        created_ms = np.zeros(len(kept), np.int64) if created is None else created[kept]
        is_new = (created_ms > 0) & (created_ms > now_ms - self._new_item_ms)
        columns = (snapshot.catalogue.keys[kept], is_new, self._novelty(snapshot.popularity, snapshot.popularity[kept]))
        names = (item_id for item_id, held in zip(item_ids, known.tolist(), strict=True) if held)
        return dict(zip(names, map(ShownItem, *(column.tolist() for column in columns)), strict=True))

    def _novelty(self, all_scores: DoubleArray, scores: DoubleArray) -> DoubleArray:
        now_s = self._seconds()
        if now_s - self._summed_s >= TOTALS_PERIOD_S:
            finite = all_scores[np.isfinite(all_scores)]
            if not len(finite):
                return np.zeros(len(scores))
            highest = finite.max()
            self._log2_total = float(highest + np.log2(np.exp2(finite - highest).sum()))
            self._rarest = float(finite.min())
            self._summed_s = now_s
        return np.maximum(0.0, self._log2_total - np.maximum(scores, self._rarest))
