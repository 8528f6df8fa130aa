"""Ranking: the order that a basis gives to a mask, and the scores that it gives to single rows, agree."""

from __future__ import annotations

import numpy as np
import pytest
from domain_doubles import AxisEncoder, BruteForceIndex

from core.arrays import FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.recommendation.ranking.added_scores import AddedScores
from core.recommendation.ranking.rankers import ModelRanker, PopularityRanker, Ranker, RecencyRanker, SimilarityRanker
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.item_indexes import unit
from core.recommendation.snapshots.snapshot import ServingSnapshot

ROWS = np.arange(4)
VECTORS = np.array([[3, 0], [1, 1], [0, 2], [4, 1]], np.float32)
CATALOGUE = Catalogue(ROWS + 1, tuple("abcd"), ("",) * 4, (("x",), ("y",), ("x", "y"), ()), np.ones(4, np.bool_))


class GivenEncoder(AxisEncoder):
    """Items have the vectors above."""

    def items(self, rows: IntArray) -> FloatArray:
        return VECTORS[rows]


INDEX, SIMILAR = BruteForceIndex(ROWS, VECTORS), BruteForceIndex(ROWS, unit(VECTORS))
MODEL = BoundModel("v1", GivenEncoder(CATALOGUE), INDEX, SIMILAR, VECTORS.mean(axis=0))
VIEW = ServingSnapshot(CATALOGUE, np.array([1.0, 5.0, -np.inf, 5.0]), MODEL)
BASES: list[Ranker] = [
    ModelRanker(MODEL, np.array([1, 2], np.float32), "because"),
    ModelRanker(MODEL, np.array([1, 2], np.float32), "because", AddedScores(ROWS[1:3], np.array([4, -9], np.float32))),
    SimilarityRanker(MODEL, 0),
    PopularityRanker(VIEW, "because"),
    RecencyRanker(VIEW),
]


@pytest.mark.parametrize("ranker", BASES, ids=lambda ranker: ranker.source)
def test_the_order_is_that_of_the_scores_and_covers_the_allowed_rows_only(ranker: Ranker) -> None:
    allowed = np.array([True, True, False, True])
    rows, scores = ranker.ranking(allowed)(10)
    assert sorted(rows.tolist()) == [0, 1, 3]
    assert scores.tolist() == pytest.approx(ranker.scores(rows).tolist())
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert ranker.ranking(allowed)(1)[0].tolist() == rows[:1].tolist()


@pytest.mark.parametrize(("added", "order"), [(3.5, [1, 3, 2, 0]), (-3.5, [3, 2, 0, 1]), (0.5, [3, 2, 1, 0])])
def test_what_the_history_adds_moves_its_own_items_alone(added: float, order: list[int]) -> None:
    ranker = ModelRanker(
        MODEL, np.array([1, 2], np.float32), "because", AddedScores(ROWS[1:2], np.array([added], np.float32))
    )
    rows, scores = ranker.ranking(np.ones(4, np.bool_))(4)
    plain = dict(zip(ROWS.tolist(), (VECTORS @ ranker.query).tolist(), strict=True))
    assert rows.tolist() == order
    assert dict(zip(rows.tolist(), scores.tolist(), strict=True)) == {**plain, 1: plain[1] + added}


def test_likeness_is_the_cosine_so_a_long_vector_wins_nothing() -> None:
    assert SimilarityRanker(MODEL, 0).scores(ROWS).tolist() == pytest.approx([1, 0.5**0.5, 0, 4 / 17**0.5])


def test_popularity_ties_are_newest_first_and_items_without_events_last() -> None:
    rows, _ = PopularityRanker(VIEW, "because").ranking(np.ones(4, np.bool_))(4)
    assert rows.tolist() == [3, 1, 0, 2]


def test_popularity_can_be_narrowed_to_items_that_share_a_category() -> None:
    rows, _ = PopularityRanker(VIEW, "because", ("x", "no such")).ranking(np.ones(4, np.bool_))(4)
    assert rows.tolist() == [0, 2]
