"""Catalogue search: items whose id or text contains all words of a query, most popular first.

For operators, so that hidden items are included. Independent of models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.arrays import IntArray
from core.recommendation.snapshots.snapshot import ServingSnapshot


def search_rows(snapshot: ServingSnapshot, words: Sequence[str], *, category: str | None = None) -> IntArray:
    """The catalogue rows that contain every word (case-insensitive), most popular first, ties by older item."""
    catalogue = snapshot.catalogue
    folded = [word.casefold() for word in words]
    inside = range(len(catalogue)) if category is None else catalogue.category_rows.get(category, np.empty(0, np.int64))
    searched = catalogue.searched
    rows = np.array([row for row in inside if all(word in searched[row] for word in folded)], np.int64)
    ordered: IntArray = rows[np.argsort(-snapshot.popularity[rows], kind="stable")]
    return ordered
