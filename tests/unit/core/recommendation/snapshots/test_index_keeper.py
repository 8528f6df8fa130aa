"""The index keeper applies changes at once and compacts in the background, without losing what changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from domain_doubles import BruteForceIndex

from core.arrays import FloatArray
from core.recommendation.snapshots.index_keeper import IndexChange, IndexKeeper

NO_ROWS = np.empty(0, np.int64)


class WornIndex(BruteForceIndex):
    """Worn until it is compacted; notes the queries."""

    needs_compaction = True

    def compacted(self, queries: FloatArray | None = None) -> BruteForceIndex:
        assert queries is not None
        return BruteForceIndex(self._rows, self._vectors)


class BrokenIndex(BruteForceIndex):
    """Cannot be compacted."""

    needs_compaction = True

    def compacted(self, queries: FloatArray | None = None) -> BruteForceIndex:
        msg = "no memory left"
        raise MemoryError(msg)


class Later:
    """Keeps what is to run in the background until a test runs it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def run(self) -> None:
        self.waiting.pop(0)()


def best(index_of: IndexKeeper) -> list[int]:
    return index_of.index.search(np.ones(2, np.float32), 9)[0].tolist()


def put(row: int, value: float) -> IndexChange:
    return IndexChange(np.array([row]), np.full((1, 2), value, np.float32), NO_ROWS)


def keeper(index: BruteForceIndex, later: Later) -> IndexKeeper:
    return IndexKeeper(index, queries=lambda: np.ones((1, 2), np.float32), run=later)


def test_changes_during_a_compaction_are_in_its_result() -> None:
    later = Later()
    kept = keeper(WornIndex(np.arange(2), np.eye(2, dtype=np.float32)), later)
    kept.apply(put(7, 5))
    assert best(kept) == [7, 0, 1]
    later.run()
    assert best(kept) == [7, 0, 1]
    assert not kept.index.needs_compaction
    assert later.waiting == []


def test_one_compaction_runs_at_a_time() -> None:
    later = Later()
    kept = keeper(WornIndex(np.arange(2), np.eye(2, dtype=np.float32)), later)
    kept.apply(put(3, 1))
    kept.apply(put(4, 1))
    assert len(later.waiting) == 1


def test_an_index_that_is_not_worn_is_left_alone() -> None:
    later = Later()
    keeper(BruteForceIndex(np.arange(2), np.eye(2, dtype=np.float32)), later).apply(put(3, 1))
    assert later.waiting == []


def test_a_failed_compaction_leaves_the_worn_index_serving(caplog: pytest.LogCaptureFixture) -> None:
    later = Later()
    kept = keeper(BrokenIndex(np.arange(2), np.eye(2, dtype=np.float32)), later)
    later.run()
    kept.apply(put(7, 5))
    assert best(kept) == [7, 0, 1]
    assert later.waiting == []
    assert "could not be compacted" in caplog.text
