"""The index keeper applies changes at once and compacts aside, without losing what changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from domain_doubles import BruteForceIndex
from hypothesis import given
from hypothesis import strategies as st

from core.arrays import FloatArray, IntArray
from core.recommendation.index_keeper import IndexChange, IndexKeeper
from core.recommendation.item_indexes import change_between

NO_ROWS = np.empty(0, np.int64)


class WornIndex(BruteForceIndex):
    """Worn until it is compacted; notes the queries."""

    is_worn = True

    def compacted(self, queries: FloatArray | None = None) -> BruteForceIndex:
        assert queries is not None
        return BruteForceIndex(self._rows, self._vectors)


class BrokenIndex(BruteForceIndex):
    """Cannot be compacted."""

    is_worn = True

    def compacted(self, queries: FloatArray | None = None) -> BruteForceIndex:
        msg = "no memory left"
        raise MemoryError(msg)


class Later:
    """Keeps what is to run aside until a test runs it."""

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
    return IndexKeeper(index, queries=lambda: np.ones((1, 2), np.float32), run_aside=later)


def test_changes_during_a_compaction_are_in_its_result() -> None:
    later = Later()
    kept = keeper(WornIndex(np.arange(2), np.eye(2, dtype=np.float32)), later)
    kept.apply(put(7, 5))
    assert best(kept) == [7, 0, 1]
    later.run()
    assert best(kept) == [7, 0, 1]
    assert not kept.index.is_worn
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


@given(st.integers(0, 2**32 - 1))
def test_a_change_between_two_sets_turns_one_into_the_other(seed: int) -> None:
    random = np.random.default_rng(seed)

    def drawn() -> tuple[IntArray, FloatArray]:
        rows = np.flatnonzero(random.random(12) < random.random()).astype(np.int64)
        return rows, random.integers(0, 2, (len(rows), 2)).astype(np.float32)

    old, new = drawn(), drawn()
    change = change_between(*old, *new)
    query = np.array([1, 2], np.float32)
    expected = BruteForceIndex(*new).search(query, 12)
    for found, wanted in zip(change.of(BruteForceIndex(*old)).search(query, 12), expected, strict=True):
        assert found.tolist() == wanted.tolist()
    known = dict(zip(old[0].tolist(), old[1].tolist(), strict=True))
    for row, vector in zip(change.rows.tolist(), change.vectors.tolist(), strict=True):
        assert known.get(row) != vector
