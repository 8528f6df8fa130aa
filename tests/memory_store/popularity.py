"""Popularity of a store in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.popularity import PopularityChanges, add_log2, subtract_log2
from core.ports.offsets import CORRECTIONS
from memory_store.data import MemoryRepository


class MemoryPopularity(MemoryRepository):
    """`core.ports.popularity.PopularityRepository`."""

    def scores(self) -> tuple[IntArray, NDArray[np.float64]]:
        corrections = self.data.writers.get((CORRECTIONS, 0))
        totals: dict[int, float] = {}
        taken_back: dict[int, float] = {}
        for (writer_key, item_key), score in self.data.scores.items():
            sums = taken_back if corrections is not None and writer_key == corrections.key else totals
            sums[item_key] = float(np.logaddexp2(sums.get(item_key, -np.inf), score))
        keys = np.array(sorted(totals), np.int64)
        all_sums, less = (np.array([part.get(key, -np.inf) for key in keys.tolist()]) for part in (totals, taken_back))
        return keys, subtract_log2(all_sums, less)

    def scores_of(self, item_keys: IntArray) -> tuple[IntArray, NDArray[np.float64]]:
        keys, scores = self.scores()
        wanted = np.isin(keys, item_keys)
        return keys[wanted], scores[wanted]

    def since(self, position: Mapping[int, int] | None) -> PopularityChanges:
        log = self.data.popularity_log
        reached = {writer: key for key, writer, _ in log}
        if position is None or not {key for key, _, _ in log}.issuperset(position.values()):
            return PopularityChanges(*self.scores(), reached, restarted=True)
        changed = {item for key, writer, items in log if key > position.get(writer, 0) for item in items}
        return PopularityChanges(*self.scores_of(np.array(sorted(changed), np.int64)), reached, restarted=False)

    def compact(self, writer_key: int) -> None:
        assert writer_key in {writer.key for writer in self.data.writers.values()}

    def add(self, writer_key: int, scores: Mapping[int, float]) -> None:
        known = {item_key: score for (writer, item_key), score in self.data.scores.items() if writer == writer_key}
        self.data.scores |= {(writer_key, item_key): score for item_key, score in add_log2(known, scores).items()}
        if scores:
            self.data.popularity_log = [*self.data.popularity_log, (self.data.next_key(), writer_key, tuple(scores))]

    def clear(self) -> None:
        self.data.scores = {}
        self.data.popularity_log = []


class MemoryEventCounts(MemoryRepository):
    """`core.ports.popularity.EventCountRepository`."""

    def total(self, *, since_ms: int, type_codes: Sequence[int] | None = None) -> int:
        counts = self.data.counts.items()
        kept = (
            num for (bucket, _, code), num in counts if type_codes is None or code in type_codes if bucket >= since_ms
        )
        return sum(kept)

    def by_step(self, *, since_ms: int = 0, before_ms: int = 2**62, step_ms: int = 1) -> dict[tuple[int, int], int]:
        sums: Counter[tuple[int, int]] = Counter()
        for (bucket_ms, _, type_code), num in self.data.counts.items():
            if since_ms <= bucket_ms < before_ms:
                sums[bucket_ms - bucket_ms % step_ms, type_code] += num
        return {bucket: num for bucket, num in sums.items() if num}

    def add(self, writer_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        for (bucket_ms, type_code), num in counts.items():
            name = (bucket_ms, writer_key, type_code)
            self.data.counts[name] = self.data.counts.get(name, 0) + num

    def clear(self) -> None:
        self.data.counts = {}
