"""Products that many users share are those that each ranker computes alone."""

from __future__ import annotations

import numpy as np
from domain_doubles import AxisEncoder, BruteForceIndex

from core.catalogue.items import Catalogue
from core.recommendation.ranking.added_scores import NOTHING_ADDED
from core.recommendation.ranking.blended_ranker import BlendedRanker
from core.recommendation.ranking.neighbour_scores import NeighbourScores
from core.recommendation.ranking.rankers import PopularityRanker, Ranker
from core.recommendation.ranking.shared_products import with_products
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.item_values import ItemValues
from core.recommendation.snapshots.snapshot import ServingSnapshot

NUM_ITEMS, WIDTH = 50, 4
RANDOM = np.random.default_rng(7)
ROWS = np.arange(NUM_ITEMS)
NAMES = tuple(f"i{row}" for row in ROWS)
CATALOGUE = Catalogue(ROWS + 1, NAMES, ("",) * NUM_ITEMS, ((),) * NUM_ITEMS, np.ones(NUM_ITEMS, np.bool_))


def model_of(version: str, *, small: bool = True) -> BoundModel:
    vectors = RANDOM.normal(size=(NUM_ITEMS, WIDTH)).astype(np.float32)
    index = BruteForceIndex(ROWS, vectors)
    mean = vectors.mean(axis=0)
    return BoundModel(version, AxisEncoder(CATALOGUE), index, index, mean, vectors if small else None)


def ranker_of(model: BoundModel) -> BlendedRanker:
    values = ItemValues.of(RANDOM.random(NUM_ITEMS).astype(np.float32), np.full(NUM_ITEMS, -np.inf, np.float32))
    snapshot = ServingSnapshot(CATALOGUE, np.zeros(NUM_ITEMS), model, None, values)
    query = RANDOM.normal(size=WIDTH).astype(np.float32)
    return BlendedRanker(
        snapshot, model, query, NOTHING_ADDED, NeighbourScores(NOTHING_ADDED, np.empty(0, np.int64), None), ""
    )


def test_rankings_are_those_of_each_ranker_alone_whichever_model_it_has() -> None:
    champion, challenger = model_of("a"), model_of("b")
    popular = PopularityRanker(ranker_of(champion).snapshot, "no history")
    rankers: list[Ranker] = [
        ranker_of(champion),
        popular,
        ranker_of(challenger),
        *map(ranker_of, (champion, challenger)),
    ]
    shared = with_products(rankers)
    assert shared[1] is popular
    everything = np.ones(NUM_ITEMS, np.bool_)
    for together, alone in zip(shared, rankers, strict=True):
        rows, scores = together.ranking(everything)(10)
        own_rows, own_scores = alone.ranking(everything)(10)
        assert rows.tolist() == own_rows.tolist()
        np.testing.assert_allclose(scores, own_scores, rtol=1e-5, atol=1e-6)
    assert [getattr(ranker, "products", None) is not None for ranker in shared] == [True, False, True, True, True]


def test_one_user_of_a_model_and_a_searched_catalogue_have_none() -> None:
    large = model_of("large", small=False)
    rankers = [ranker_of(model_of("small")), ranker_of(large), ranker_of(large)]
    assert with_products(rankers) == rankers
