"""The look-up in sorted arrays equals a search one by one, and rows of integers are counted as a dictionary does."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.arrays import look_up, occurrences

numbers = st.integers(-5, 20)


@given(st.sets(numbers), st.lists(numbers))
def test_places_are_those_of_the_values_that_are_held(held: set[int], values: list[int]) -> None:
    ascending = sorted(held)
    places, is_held = look_up(np.array(ascending, np.int64), np.array(values, np.int64))
    assert is_held.tolist() == [value in held for value in values]
    assert [ascending[place] for place in places[is_held].tolist()] == [value for value in values if value in held]


@given(st.lists(st.tuples(numbers, numbers)))
def test_rows_of_integers_are_counted_in_ascending_order(rows: list[tuple[int, int]]) -> None:
    first, second = np.array(rows, np.int64).reshape(-1, 2).T
    assert list(occurrences(first, second)) == sorted(Counter(rows).items())
