"""The look-up in sorted arrays equals a search one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.arrays import look_up

numbers = st.integers(-5, 20)


@given(st.sets(numbers), st.lists(numbers))
def test_places_are_those_of_the_values_that_are_held(held: set[int], values: list[int]) -> None:
    ascending = sorted(held)
    places, is_held = look_up(np.array(ascending, np.int64), np.array(values, np.int64))
    assert is_held.tolist() == [value in held for value in values]
    assert [ascending[place] for place in places[is_held].tolist()] == [value for value in values if value in held]
