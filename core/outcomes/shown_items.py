"""What answers say of the items that they show: integer key, whether the item is new, novelty, popularity, category.

Novelty is the self-information of an item, -log2 of its share of all time-decayed popularity: a popular item says
little (Castells, Hurley and Vargas, Recommender Systems Handbook, 2015, "novelty and diversity"). An item without
events counts as the rarest item that has some. The popularity percentile of an item is the share of the catalogue that
is less popular.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from core.arrays import DoubleArray
from core.clock import DAY_MS, MINUTE_MS
from core.recommendation.snapshots.snapshot import ServingSnapshot

NEW_ITEM_DAYS = 30
TOTALS_PERIOD_S = 60.0  # summing up the popularity of all items costs time in proportion to them
MAX_KNOWN = 50_000  # items whose facts are kept while the snapshot is the same: about 10 MB
RANKED = 10_000  # items, evenly drawn, that percentiles are read from: sorting all would take longer than summing up


class ShownItem(NamedTuple):
    """An item as it was when it was shown. `novelty`: in bits; 0 before the first event of any item.

    `popularity`: its percentile, from 0 to 1. `category`: its first one; empty if it has none.
    """

    key: int
    is_new: bool
    novelty: float
    popularity: float = 0.0
    category: str = ""


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
        self._ranked: DoubleArray = np.empty(0)
        self._snapshot: ServingSnapshot | None = None  # of which the items below are known, in a minute
        self._moment = (0, -np.inf)
        self._known: dict[str, ShownItem] = {}

    def facts(self, item_ids: Sequence[str], *, now_ms: int) -> dict[str, ShownItem]:
        """Of those of these items that the snapshot holds; what is new is so by the minute."""
        snapshot, minute = self._snapshots(), now_ms // MINUTE_MS
        self._sum_up(snapshot.popularity)
        moment = minute, self._summed_s
        if snapshot is not self._snapshot or moment != self._moment or len(self._known) > MAX_KNOWN:
            self._snapshot, self._moment, self._known = snapshot, moment, {}
        missing = [item_id for item_id in item_ids if item_id not in self._known]
        if missing:
            self._known |= self._read(snapshot, missing, minute * MINUTE_MS)
        return {item_id: self._known[item_id] for item_id in item_ids if item_id in self._known}

    def _read(self, snapshot: ServingSnapshot, item_ids: Sequence[str], now_ms: int) -> dict[str, ShownItem]:
        rows = snapshot.catalogue.rows_of_ids(list(item_ids))
        known = rows >= 0
        kept = rows[known]
        created = snapshot.catalogue.created_ms
        created_ms = np.zeros(len(kept), np.int64) if created is None else created[kept]
        is_new = (created_ms > 0) & (created_ms > now_ms - self._new_item_ms) & (created_ms < now_ms + MINUTE_MS)
        scores = snapshot.popularity[kept]
        columns = (snapshot.catalogue.keys[kept], is_new, self._novelty(scores), self._percentiles(scores))
        names = (item_id for item_id, held in zip(item_ids, known.tolist(), strict=True) if held)
        categories = ("".join(snapshot.catalogue.categories[row][:1]) for row in kept.tolist())
        shown = map(ShownItem, *(column.tolist() for column in columns), categories)
        return dict(zip(names, shown, strict=True))

    def _sum_up(self, all_scores: DoubleArray) -> None:
        """Read the popularity of all items, once a minute."""
        now_s = self._seconds()
        if now_s - self._summed_s < TOTALS_PERIOD_S:
            return
        finite = all_scores[np.isfinite(all_scores)]
        if not len(finite):
            return
        highest = finite.max()
        self._log2_total = float(highest + np.log2(np.exp2(finite - highest).sum()))
        self._rarest = float(finite.min())
        self._ranked = np.sort(all_scores[:: -(-len(all_scores) // RANKED)])
        self._summed_s = now_s

    def _novelty(self, scores: DoubleArray) -> DoubleArray:
        if not len(self._ranked):
            return np.zeros(len(scores))
        return np.maximum(0.0, self._log2_total - np.maximum(scores, self._rarest))

    def _percentiles(self, scores: DoubleArray) -> DoubleArray:
        return np.searchsorted(self._ranked, scores) / max(1, len(self._ranked))
