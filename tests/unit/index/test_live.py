"""The live index equals brute force through any adds, changes, removals, compactions and filters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.index.vectors import WIDTH, items, queries

from core.arrays import FloatArray, IntArray
from index import live
from index.exact import ExactIndex
from index.live import LiveIndex
from index.recall import RECALL_BOUND, RecallSample

CATALOGUE = 60  # rows
NO_ROWS = np.empty(0, np.int64)
steps = st.lists(
    st.tuples(st.sampled_from(["change", "compact", "read", "search"]), st.integers(0, 2**32 - 1)),
    min_size=1,
    max_size=12,
)


def whole(random: np.random.Generator, num: int) -> FloatArray:
    """Whole numbers: products are exact in any arithmetic, and ties are frequent."""
    return random.integers(-3, 4, (num, 3)).astype(np.float32)


def some_rows(random: np.random.Generator, share: float) -> IntArray:
    return np.flatnonzero(random.random(CATALOGUE) < share).astype(np.int64)


@given(steps, st.integers(0, 2**32 - 1))
def test_any_changes_and_compactions_equal_brute_force(actions: list[tuple[str, int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = some_rows(random, random.random())
    vectors = whole(random, len(rows))
    index, expected = LiveIndex.flat(rows, vectors), dict(zip(rows.tolist(), vectors, strict=True))
    for action, own_seed in [*actions, ("search", seed)]:
        random = np.random.default_rng(own_seed)
        if action == "change":
            changed, removed = some_rows(random, 0.2), some_rows(random, 0.2)
            removed = np.setdiff1d(removed, changed)
            new = whole(random, len(changed))
            index = index.changed(changed, new, removed=removed)
            expected |= dict(zip(changed.tolist(), new, strict=True))
            expected = {row: vector for row, vector in expected.items() if row not in removed}
        elif action == "compact":
            index = index.compacted()
        elif action == "read":
            index = LiveIndex.of(index.arrays())
        allowed = random.random(CATALOGUE) < random.choice([0.05, 0.5, 1.0]) if random.random() < 0.7 else None
        query, n = whole(random, 1)[0], int(random.integers(0, CATALOGUE + 3))
        scored = [(-float(v @ query), row) for row, v in expected.items() if allowed is None or allowed[row]]
        found, scores = index.search(query, n, allowed=allowed)
        assert list(zip((-scores).tolist(), found.tolist(), strict=True)) == sorted(scored)[:n]
        assert len(index) == len(expected)


@pytest.fixture
def _approximate_from_1000(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EXACT_SIZE", 1_000)


@pytest.mark.usefixtures("_approximate_from_1000")
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_approximate_index_keeps_its_recall_through_changes(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = items(2_500, seed=seed)
    index = LiveIndex.flat(np.arange(2_000), vectors[:2_000]).compacted(queries(64))
    assert index.is_approximate
    removed = np.sort(random.permutation(2_000)[:300])
    changed = np.setdiff1d(np.arange(1_900, 2_500), removed)
    index = index.changed(changed, vectors[changed], removed=removed)
    rows = np.setdiff1d(np.arange(2_500), removed)
    exact = ExactIndex(rows, vectors[rows])
    filters = [None, *(random.random(2_500) < share for share in (0.5, 0.05, 0.005))]
    assert len(index) == len(exact)
    assert RecallSample.of(exact, queries(20, seed=5), filters=filters).recall(index) >= RECALL_BOUND
    for query in queries(10, seed=6):
        found, _ = index.search(query, 200)
        assert len(found) == 200
        assert not np.isin(found, removed).any()


@pytest.mark.usefixtures("_approximate_from_1000")
def test_a_large_index_is_exact_until_it_is_compacted() -> None:
    flat = LiveIndex.flat(np.arange(1_500), items(1_500))
    assert (flat.needs_compaction, flat.is_approximate, flat.recall) == (True, False, None)
    compacted = flat.compacted(queries(64))
    assert (compacted.needs_compaction, compacted.is_approximate) == (False, True)
    assert compacted.recall is not None
    assert compacted.recall >= RECALL_BOUND


@pytest.mark.usefixtures("_approximate_from_1000")
def test_below_its_bound_of_recall_the_index_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RECALL_BOUND", 1.1)
    index = LiveIndex.flat(np.arange(1_500), items(1_500)).compacted(queries(64))
    assert (index.is_approximate, index.needs_compaction) == (False, False)
    assert index.recall is not None


@pytest.mark.usefixtures("_approximate_from_1000")
def test_without_queries_recall_is_measured_on_the_vectors_themselves() -> None:
    index = LiveIndex.flat(np.arange(1_500), items(1_500)).compacted()
    assert index.is_approximate


def test_a_small_index_stays_exact_and_is_never_worn_by_few_changes() -> None:
    index = LiveIndex.flat(np.arange(100), items(100)).changed(np.array([3]), items(1), removed=np.array([5]))
    assert (index.needs_compaction, index.compacted().is_approximate, len(index.compacted())) == (False, False, 99)


def test_many_removals_wear_an_index() -> None:
    index = LiveIndex.flat(np.arange(100), items(100)).changed(NO_ROWS, items(0), removed=np.arange(51))
    assert index.needs_compaction


def test_removed_rows_may_lie_beyond_a_smaller_catalogue() -> None:
    index = LiveIndex.flat(np.arange(10), items(10)).changed(NO_ROWS, items(0), removed=np.arange(8, 10))
    found, _ = index.search(np.ones(WIDTH, np.float32), 10, allowed=np.ones(8, np.bool_))
    assert sorted(found.tolist()) == list(range(8))


@pytest.mark.usefixtures("_approximate_from_1000")
def test_searches_of_a_pinned_view_stay_during_changes_and_compaction() -> None:
    vectors, asked = items(4_000), queries(16)
    view = LiveIndex.flat(np.arange(4_000), vectors).compacted(queries(64))
    before = [view.search(query, 20)[0].tolist() for query in asked]
    with ThreadPoolExecutor(3) as pool:
        compacting = pool.submit(view.changed(np.arange(50), -vectors[:50], removed=NO_ROWS).compacted)
        searches = []
        while not compacting.done() or not searches:
            searches.append(list(pool.map(lambda query: view.search(query, 20)[0].tolist(), asked)))
        assert len(compacting.result()) == 4_000
    assert all(found == before for found in searches)
