"""Attributes: the index finds the rows with a value or a number in a range, compared as text."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.attributes import AttributeIndex, Between, Condition, as_text

SCALARS = st.one_of(st.text(max_size=4), st.integers(-99, 99), st.booleans(), st.floats(-9, 9), st.none())
ITEMS = st.lists(st.dictionaries(st.sampled_from("ab"), SCALARS), max_size=20)


@given(items=ITEMS, value=SCALARS.filter(lambda value: value is not None))
def test_the_index_finds_what_looking_at_each_item_finds(items: list[dict[str, Any]], value: object) -> None:
    result = AttributeIndex(items).rows(Condition("a", (as_text(value),)))
    assert sorted(result.tolist()) == [
        row
        for row, attributes in enumerate(items)
        if attributes.get("a") is not None and as_text(attributes["a"]) == as_text(value)
    ]


@given(items=st.lists(st.integers(-9, 9) | st.floats(-9, 9)), low=st.integers(-9, 9), size=st.integers(0, 9))
def test_a_range_finds_what_comparing_each_number_finds(items: list[float], low: int, size: int) -> None:
    result = AttributeIndex([{"a": value} for value in items]).rows(Condition("a", (Between(low, low + size),)))
    assert sorted(result.tolist()) == [row for row, value in enumerate(items) if low <= value <= low + size]
