"""Shared products: the encoder's scores of all items for many users, by one matrix product for each model.

Shapes: M users, N items of the catalogue, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.arrays import FloatArray
from core.recommendation.ranking.blended_ranker import BlendedRanker
from core.recommendation.ranking.rankers import Ranker


def with_products(rankers: Sequence[Ranker]) -> list[Ranker]:
    """The M rankers; those that score all of a small catalogue are given their products, M * N numbers in all.

    Their scores differ by rounding at most from those of a ranker alone. A single ranker computes its own products.
    """
    shared = list(rankers)
    by_model: dict[str | None, dict[int, BlendedRanker]] = {}
    for index, ranker in enumerate(rankers):
        if isinstance(ranker, BlendedRanker) and ranker.scanned is not None:
            by_model.setdefault(ranker.version, {})[index] = ranker
    for blended in by_model.values():
        if len(blended) > 1:
            products_MN = _products(list(blended.values()))
            for (index, ranker), products_N in zip(blended.items(), products_MN, strict=True):
                shared[index] = replace(ranker, products=products_N)
    return shared


def _products(blended: Sequence[BlendedRanker]) -> FloatArray:
    """(M, N) the products of M queries for one model and all items."""
    vectors_ND = blended[0].scanned
    assert vectors_ND is not None
    products_MN: FloatArray = np.stack([ranker.query for ranker in blended if ranker.query is not None]) @ vectors_ND.T
    return products_MN
