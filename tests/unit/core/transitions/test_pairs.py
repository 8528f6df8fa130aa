"""Pairs of items: each once with the sum of its weights, in order, however many there are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.transitions.neighbours import Pairs

WEIGHTS = st.integers(-3, 9)
ROWS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5), WEIGHTS), min_size=1)


@given(rows=ROWS, max_sorted=st.integers(1, 10))
def test_sums_are_the_same_by_ranges_of_items(rows: list[tuple[int, int, int]], max_sorted: int) -> None:
    expected: Counter[tuple[int, int]] = Counter()
    for item, neighbour, weight in rows:
        expected[item, neighbour] += weight
    items, neighbours, weights = (np.array(column) for column in zip(*rows, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.transitions.neighbours.MAX_SORTED", max_sorted)
        summed = Pairs(items, neighbours, weights.astype(np.float64)).summed()
    found = list(zip(summed.items.tolist(), summed.neighbours.tolist(), summed.weights.tolist(), strict=True))
    assert found == [(*pair, float(expected[pair])) for pair in sorted(expected)]
