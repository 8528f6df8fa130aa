"""The exact index equals brute force, for any mask, any number of answers, ties by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.arrays import BoolArray, FloatArray
from index.exact import SMALL_SHARE, ExactIndex

CATALOGUE = 80  # rows of the catalogue; the index holds some of them


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.int64], FloatArray, FloatArray, BoolArray | None, int]:
    """Small whole numbers, so that products are exact in any arithmetic and ties are frequent."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = np.flatnonzero(rng.random(CATALOGUE) < draw(st.sampled_from([0.0, 0.1, 0.8, 1.0]))).astype(np.int64)
    largest = draw(st.sampled_from([0, 1, 5]))
    vectors = rng.integers(-largest, largest + 1, (len(rows), 4)).astype(np.float32)
    query = rng.integers(-3, 4, 4).astype(np.float32)
    share = draw(st.sampled_from([None, 0.0, 0.03, 0.2, 0.9, 1.0]))
    allowed = None if share is None else rng.random(CATALOGUE) < share
    return rows, vectors, query, allowed, draw(st.integers(0, CATALOGUE + 5))


def brute_force(
    rows: NDArray[np.int64], vectors: FloatArray, query: FloatArray, allowed: BoolArray | None, n: int
) -> list[tuple[int, float]]:
    scored = [
        (int(row), float(vector @ query))
        for row, vector in zip(rows, vectors, strict=True)
        if allowed is None or allowed[row]
    ]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:n]


@given(cases())
def test_search_equals_brute_force_with_ties_by_row(
    case: tuple[NDArray[np.int64], FloatArray, FloatArray, BoolArray | None, int],
) -> None:
    rows, vectors, query, allowed, n = case
    found, scores = ExactIndex(rows, vectors).search(query, n, allowed=allowed)
    assert list(zip(found.tolist(), scores.tolist(), strict=True)) == brute_force(rows, vectors, query, allowed, n)
    assert (found.dtype, scores.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize("num_allowed", [1, 10, 99, 100, 101, 1999, 2000])
def test_masks_of_every_size_find_the_same_as_brute_force_on_real_numbers(num_allowed: int) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((2000, 16), dtype=np.float32)
    query = rng.standard_normal(16, dtype=np.float32)
    allowed = np.zeros(2000, np.bool_)
    allowed[rng.permutation(2000)[:num_allowed]] = True
    rows = np.arange(2000)
    found, scores = ExactIndex(rows, vectors).search(query, 10, allowed=allowed)
    expected = brute_force(rows, vectors, query, allowed, 10)
    assert found.tolist() == [row for row, _ in expected]
    assert scores.tolist() == pytest.approx([score for _, score in expected], rel=1e-4)
    assert SMALL_SHARE * 2000 == 100  # the sizes above stand on both sides of the switch


def test_on_axes_the_query_lists_the_scores() -> None:
    index = ExactIndex(np.array([10, 20, 30]), np.eye(3, dtype=np.float32))
    found, scores = index.search(np.array([0.5, 2, 1], np.float32), 2)
    assert (len(index), found.tolist(), scores.tolist()) == (3, [20, 30], [2.0, 1.0])


def test_ties_at_the_cut_go_to_the_lowest_rows() -> None:
    index = ExactIndex(np.arange(500), np.ones((500, 2), np.float32))
    found, _ = index.search(np.ones(2, np.float32), 7)
    assert found.tolist() == list(range(7))


def test_an_empty_index_and_an_empty_mask_find_nothing() -> None:
    empty = ExactIndex(np.empty(0, np.int64), np.empty((0, 2), np.float32))
    query = np.ones(2, np.float32)
    assert [len(found) for found in empty.search(query, 5)] == [0, 0]
    some = ExactIndex(np.arange(3), np.ones((3, 2), np.float32))
    assert [len(found) for found in some.search(query, 5, allowed=np.zeros(3, np.bool_))] == [0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    vectors = np.ones((2, 2), np.float32)
    query = np.array([1, bad], np.float32)
    with pytest.raises(ValueError, match="query: wanted finite numbers"):
        ExactIndex(np.arange(2), vectors).search(query, 1)
    vectors[1, 1] = bad
    with pytest.raises(ValueError, match="vectors: wanted finite numbers; the model that made them must not serve"):
        ExactIndex(np.arange(2), vectors)


@pytest.mark.parametrize("rows", [[0], [0, 0], [1, 0], [0, 1, 2]])
def test_every_vector_needs_a_row_of_its_own_in_ascending_order(rows: list[int]) -> None:
    with pytest.raises(ValueError, match="wanted one ascending row per vector"):
        ExactIndex(np.array(rows), np.ones((2, 2), np.float32))


def test_an_index_knows_which_rows_it_holds() -> None:
    index = ExactIndex(np.array([2, 5, 9]), np.ones((3, 2), np.float32))
    assert index.holds(np.array([0, 2, 5, 6, 9, 12])).tolist() == [False, True, True, False, True, False]
    assert ExactIndex(np.empty(0, np.int64), np.empty((0, 2), np.float32)).holds(np.array([1])).tolist() == [False]
