"""Popularity by catalogue row, and its growth with the catalogue."""

from __future__ import annotations

import numpy as np

from core.arrays import DoubleArray, IntArray
from core.catalogue.items import Catalogue
from core.ports.store import ReadTransaction


def extended_popularity(
    read: ReadTransaction, old: Catalogue, popularity: DoubleArray, catalogue: Catalogue
) -> DoubleArray:
    """(n,) the popularity of an older catalogue by the rows of its successor; that of new items is read."""
    if len(catalogue) == len(old):
        return popularity
    if not catalogue.extends(old):
        return by_row(catalogue, *read.popularity.scores_of(catalogue.keys))
    new = catalogue.keys[len(old) :]
    extended = np.append(popularity, np.full(len(new), -np.inf))
    keys, scores = read.popularity.scores_of(new)
    extended[catalogue.rows(keys)] = scores
    return extended


def by_row(catalogue: Catalogue, keys: IntArray, scores: DoubleArray) -> DoubleArray:
    """(n,) scores by catalogue row, -inf for items without; keys that the catalogue does not hold are ignored."""
    scores_by_row = np.full(len(catalogue), -np.inf)
    rows = catalogue.rows(keys)
    scores_by_row[rows[rows >= 0]] = scores[rows >= 0]
    return scores_by_row
