"""The look-up in sorted arrays, distinct values, the best places and counts of rows equal what plain Python finds."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.arrays import best_places, distinct, look_up, occurrences

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


@given(st.lists(st.integers(-5, 5), max_size=30))
def test_distinct_values_ascend(values: list[int]) -> None:
    assert distinct(np.array(values, np.int64)).tolist() == sorted(set(values))


@given(st.lists(st.sampled_from([-np.inf, -1.5, 0.0, 2.0, 2.5]), max_size=30), st.integers(0, 40))
def test_the_best_places_are_the_first_of_all_in_order(scores: list[float], n: int) -> None:
    wanted = sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:n]
    assert best_places(np.array(scores, np.float32), n).tolist() == wanted
