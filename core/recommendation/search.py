"""Search: items of a catalogue whose id or text holds all words of a query, what is popular first.

For people who look for an item, not for answers to users: hidden items are found too. Knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.arrays import IntArray
from core.recommendation.snapshot import ServingSnapshot


def search_rows(snapshot: ServingSnapshot, words: Sequence[str], *, category: str | None = None) -> IntArray:
    """The catalogue rows in which every word (in any case) occurs, the popular ones first, then the older ones."""
    catalogue = snapshot.catalogue
    wanted = [word.casefold() for word in words]
    inside = range(len(catalogue)) if category is None else catalogue.category_rows.get(category, np.empty(0, np.int64))
    searched = catalogue.searched
    found = np.array([row for row in inside if all(word in searched[row] for word in wanted)], np.int64)
    order: IntArray = found[np.argsort(-snapshot.popularity[found], kind="stable")]
    return order
