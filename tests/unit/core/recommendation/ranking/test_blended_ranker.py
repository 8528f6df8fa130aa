"""The blended ranker equals brute force over the catalogue, whatever the parts and the filters are."""

from __future__ import annotations

import numpy as np
import pytest
from domain_doubles import AxisEncoder, BruteForceIndex
from hypothesis import given
from hypothesis import strategies as st

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.recommendation.ranking import blended_ranker
from core.recommendation.ranking.added_scores import AddedScores
from core.recommendation.ranking.blended_ranker import BlendedRanker
from core.recommendation.ranking.neighbour_scores import NeighbourScores
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.item_values import ItemValues
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.scenarios.boosts import boosted

KINDS = [{"model": True}, {"model": False}, {"small": True}]  # searched, without a model, scored in full
seeds = st.integers(0, 2**32 - 1)


class TableEncoder(AxisEncoder):
    """Items have random vectors."""

    def __init__(self, catalogue: Catalogue, vectors: FloatArray) -> None:
        super().__init__(catalogue)
        self.vectors = vectors

    def items(self, rows: IntArray) -> FloatArray:
        return self.vectors[rows]


class CountedIndex(BruteForceIndex):
    """Notes how many candidates were asked for."""

    num_requested = 0

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        self.num_requested = n
        return super().search(query, n, allowed=allowed)


def shop(
    seed: int, num_items: int, *, spread: float = 1.0, model: bool = True, small: bool = False
) -> tuple[BlendedRanker, BoolArray]:
    """A ranker over random items, and a random mask. `spread`: of the values, compared with the products."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(num_items, 4)).astype(np.float32)
    rows = np.arange(num_items)
    names = tuple(f"i{row}" for row in rows)
    catalogue = Catalogue(rows + 1, names, ("",) * num_items, ((),) * num_items, np.ones(num_items, np.bool_))
    index = CountedIndex(rows, vectors)
    encoder, kept = TableEncoder(catalogue, vectors), vectors if small else None
    bound = BoundModel("v1", encoder, index, index, vectors.mean(axis=0), kept) if model else None
    near, repeated = (np.sort(random.choice(num_items, size=1 + num_items // 5, replace=False)) for _ in range(2))
    added = AddedScores(near, random.exponential(scale=3, size=len(near)).astype(np.float32))
    repeats = AddedScores(repeated, random.normal(scale=3, size=len(repeated)).astype(np.float32))
    values = ItemValues.of(
        (spread * random.exponential(size=num_items)).astype(np.float32), np.full(num_items, -np.inf, np.float32)
    )
    snapshot = ServingSnapshot(catalogue, np.zeros(num_items), bound, None, values)
    neighbours = NeighbourScores(added, np.empty(0, np.int64), None)
    query = random.normal(size=4).astype(np.float32) if model else None
    return BlendedRanker(snapshot, bound, query, repeats, neighbours, "because"), random.random(num_items) < 0.7


@pytest.fixture(autouse=True)
def _few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blended_ranker, "FIRST", 4)


@given(seeds, st.integers(1, 60), st.integers(1, 20), st.sampled_from([0.0, 0.1, 1.0, 10.0]), st.booleans())
def test_the_best_items_are_those_of_brute_force(seed: int, num_items: int, n: int, spread: float, model: bool) -> None:
    ranker, allowed = shop(seed, num_items, spread=spread, model=model)
    rows, scores = ranker.ranking(allowed)(n)
    everything = np.flatnonzero(allowed)
    expected = ranker.scores(everything)
    order = np.lexsort((everything, -expected))[:n]
    assert rows.tolist() == everything[order].tolist()
    assert scores.tolist() == pytest.approx(expected[order].tolist(), rel=1e-5, abs=1e-5)


@given(seeds, st.integers(1, 60), st.integers(1, 20), st.sampled_from(KINDS), st.integers(1, 12))
def test_the_best_boosted_items_are_those_of_brute_force(
    seed: int, num_items: int, n: int, kind: dict[str, bool], num_factors: int
) -> None:
    ranker, allowed = shop(seed, num_items, **kind)
    added = (np.random.default_rng(seed).integers(0, num_factors, num_items) - 2).astype(np.float32)
    rows, scores = boosted(ranker, allowed, added)(n)
    everything = np.flatnonzero(allowed)
    expected = ranker.scores(everything) + added[everything]
    order = np.lexsort((everything, -expected))[:n]
    assert rows.tolist() == everything[order].tolist()
    assert scores.tolist() == pytest.approx(expected[order].tolist(), rel=1e-5, abs=1e-5)


def test_few_candidates_are_enough_where_the_parts_agree() -> None:
    ranker, _ = shop(1, 2000, spread=0.0)
    ranker.ranking(np.ones(2000, np.bool_))(2)
    assert ranker.model is not None
    assert isinstance(ranker.model.index, CountedIndex)
    assert ranker.model.index.num_requested <= 64


def test_nothing_allowed_gives_nothing() -> None:
    ranker, _ = shop(1, 10)
    assert ranker.ranking(np.zeros(10, np.bool_))(5)[0].tolist() == []


@given(seeds, st.integers(1, 50), st.integers(1, 60))
def test_the_best_values_are_the_highest_allowed_ones(seed: int, num_items: int, n: int) -> None:
    ranker, allowed = shop(seed, num_items)
    rows = ranker.values.best(n, allowed)
    expected = sorted(np.flatnonzero(allowed).tolist(), key=lambda row: (-ranker.values.values[row], row))[:n]
    assert rows.tolist() == expected
