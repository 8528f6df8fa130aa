"""What lists of items show, of many lists at once: pure functions of the items at that time.

Diversity is the share of pairs of a list's items that are of different categories (intra-list diversity: Ziegler et al.
2005, "Improving recommendation lists through topic diversification"). Shapes: L lists, S items of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.outcomes.shown_items import ShownItem


class ShownList(NamedTuple):
    """A list of items. `num_new`: of the items; `novelty`, `popularity`: their sums.

    `diversity`: None where fewer than two items have a category.
    """

    item_keys: tuple[int, ...]
    num_new: int
    novelty: float
    popularity: float
    diversity: float | None


def shown_lists(lists: Sequence[Sequence[str]], items: Mapping[str, ShownItem]) -> list[ShownList]:
    """Of lists of item ids, all of which are in `items`."""
    if not items:
        return [ShownList((), 0, 0.0, 0.0, None) for _ in lists]
    place_of = {item_id: place for place, item_id in enumerate(items)}
    shown = np.array([place_of[item_id] for item_id in chain.from_iterable(lists)], np.int64)
    lengths = [len(item_ids) for item_ids in lists]
    list_of = np.repeat(np.arange(len(lists)), lengths)
    keys, is_new, novelty, popularity, categories = zip(*items.values(), strict=True)
    all_keys = np.array(keys)[shown].tolist()
    edges = pairwise([0, *np.cumsum(lengths).tolist()])
    sums = [
        np.bincount(list_of, np.array(column, np.float64)[shown], len(lists))
        for column in (is_new, novelty, popularity)
    ]
    columns = (sums[0].astype(np.int64), *sums[1:], _diversity(list_of, _numbered(categories)[shown], len(lists)))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        ShownList(tuple(all_keys[begin:end]), num_new, bits, percentiles, None if diversity < 0 else diversity)
        for (begin, end), (num_new, bits, percentiles, diversity) in zip(edges, rows, strict=True)
    ]


def _numbered(categories: Sequence[str]) -> IntArray:
    """A number for each category, 0 for none."""
    numbers = {"": 0}
    return np.array([numbers.setdefault(category, len(numbers)) for category in categories], np.int64)


def _diversity(list_of: IntArray, categories: IntArray, num_lists: int) -> NDArray[np.float64]:
    """(L,) the diversity of each list, -1 where it has none. `list_of`, `categories`: (S,), of each item shown."""
    has_one = categories > 0
    base = int(categories.max(initial=0)) + 1
    pairs, sizes = np.unique(list_of[has_one] * base + categories[has_one], return_counts=True)
    num = np.bincount(list_of[has_one], minlength=num_lists)
    num_alike = np.bincount(pairs // base, sizes * (sizes - 1), num_lists)
    return np.where(num > 1, 1 - num_alike / np.maximum(num * (num - 1), 1), -1.0)
