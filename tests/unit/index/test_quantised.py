"""The quantised index finds at least 99 of 100 of the best items, under filters too, and scores them exactly."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from unit.index.vectors import WIDTH, items, queries

from core.arrays import FloatArray
from index.clusters import cluster, num_lists_for
from index.exact import ExactIndex
from index.probes import DEPTHS, ProbeCounts
from index.quantised import QuantisedIndex
from index.recall import RECALL_BOUND, RecallSample

NUM = 6_000
ROWS = np.arange(3, 3 + 2 * NUM, 2)  # with gaps, as hidden items leave them
EXACT = ExactIndex(ROWS, items(NUM))
TESTED = queries(40, seed=7)


@pytest.fixture(scope="module")
def index() -> QuantisedIndex:
    return QuantisedIndex.built(EXACT, queries(128))


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05, 0.005])
def test_recall_is_above_its_bound_under_filters(index: QuantisedIndex, share: float) -> None:
    allowed = np.random.default_rng(2).random(int(ROWS[-1]) + 1) < share
    assert RecallSample.of(EXACT, TESTED, filters=[allowed]).recall(index) >= RECALL_BOUND


def test_a_category_far_from_the_query_is_searched_as_well(index: QuantisedIndex) -> None:
    recalls = []
    for query in TESTED:
        allowed = np.zeros(int(ROWS[-1]) + 1, np.bool_)
        allowed[ROWS[np.argsort(EXACT.vectors @ query)[: NUM // 3]]] = True
        recalls.append(RecallSample.of(EXACT, query[None], filters=[allowed]).recall(index))
    assert np.mean(recalls) >= RECALL_BOUND


def test_measured_recall_is_kept_with_the_index(index: QuantisedIndex) -> None:
    assert RECALL_BOUND <= index.recall <= 1
    assert index.recall == pytest.approx(RecallSample.of(EXACT, queries(128)[64:]).recall(index))


def test_scores_are_exact_and_descend(index: QuantisedIndex) -> None:
    rows, scores = index.search(TESTED[0], 20)
    assert scores.tolist() == pytest.approx((EXACT.vectors[np.searchsorted(ROWS, rows)] @ TESTED[0]).tolist())
    assert np.all(np.diff(scores) <= 0)
    assert len(set(rows.tolist())) == 20


@pytest.mark.parametrize("n", [1, 64, 1000, NUM, NUM + 5])
def test_any_number_of_items_can_be_asked_for(index: QuantisedIndex, n: int) -> None:
    assert len(index.search(TESTED[1], n)[0]) == min(n, NUM)


def test_never_fewer_than_n_while_n_are_allowed(index: QuantisedIndex) -> None:
    for num_allowed in (5, 50, 500, NUM - 1):
        allowed = np.zeros(int(ROWS[-1]) + 1, np.bool_)
        allowed[np.random.default_rng(3).permutation(ROWS)[:num_allowed]] = True
        rows, _ = index.search(TESTED[2], 50, allowed=allowed)
        assert len(rows) == min(50, num_allowed)
        assert allowed[rows].all()


def test_the_same_vectors_and_queries_make_the_same_index(index: QuantisedIndex) -> None:
    again = QuantisedIndex.built(EXACT, queries(128))
    for query in TESTED[:5]:
        assert again.search(query, 30)[0].tolist() == index.search(query, 30)[0].tolist()


def test_an_index_read_from_its_arrays_searches_alike(index: QuantisedIndex) -> None:
    read = QuantisedIndex.of(EXACT, {name: np.array(array) for name, array in index.arrays().items()})
    assert read.recall == index.recall
    for query in TESTED[:5]:
        assert read.search(query, 30)[0].tolist() == index.search(query, 30)[0].tolist()


def test_an_index_keeps_the_memory_that_it_was_read_from(index: QuantisedIndex) -> None:
    arrays = {name: np.array(array) for name, array in index.arrays().items()}
    memory = weakref.ref(arrays["codes"])
    read = QuantisedIndex.of(EXACT, arrays)
    del arrays
    gc.collect()
    assert memory() is not None
    del read
    gc.collect()
    assert memory() is None


def test_a_query_that_is_not_finite_is_refused(index: QuantisedIndex) -> None:
    with pytest.raises(ValueError, match="query: wanted finite numbers"):
        index.search(np.full(16, np.nan, np.float32), 5)


def test_lists_are_about_the_square_root_of_the_items() -> None:
    assert [num_lists_for(num) for num in (1, 100, 100_000, 1_000_000)] == [1, 8, 256, 1024]


def test_items_of_a_list_score_more_alike_than_in_lists_of_other_queries() -> None:
    asked = np.zeros((64, WIDTH), np.float32)
    asked[:, 0] = np.random.default_rng(4).normal(size=64)

    def spread(made_for: FloatArray) -> float:
        clusters = cluster(EXACT.vectors, made_for)
        return float(np.mean((EXACT.vectors - clusters.means[clusters.lists])[:, 0] ** 2))

    assert spread(asked) < 0.5 * spread(np.eye(WIDTH, dtype=np.float32))


def test_deeper_searches_scan_more_lists_and_the_deepest_all() -> None:
    probes = ProbeCounts.tuned(EXACT, cluster(EXACT.vectors, TESTED), TESTED)
    counts = [probes.at(depth) for depth in (*DEPTHS, DEPTHS[-1] + 1)]
    assert counts == sorted(counts)
    assert counts[-1] == probes.num_lists
    more = probes.doubled()
    assert more is not None
    assert more.at(10) == min(probes.num_lists, 2 * probes.at(10))


def test_all_lists_cannot_be_doubled() -> None:
    assert ProbeCounts((8,) * len(DEPTHS), 8).doubled() is None
