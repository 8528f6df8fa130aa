"""Attributes: a wish names values and ranges, and gets the rows that have them, compared as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.attributes import AttributeIndex, Between, Condition, as_text, conditions_in, conditions_of
from core.errors import InvalidInput

SHELF: tuple[dict[str, Any], ...] = (
    {"brand": "acme", "price": 9.5, "new": True},
    {"brand": "nord", "price": "20"},
    {"brand": "acme", "price": 30, "new": False, "note": None},
    {},
    {"brand": "Acme", "price": "cheap"},
)
INDEX = AttributeIndex(SHELF)


def rows(*texts: str) -> list[int]:
    """The rows that fulfil conditions of one name."""
    (condition,) = conditions_in(texts)
    return sorted(set(INDEX.rows(condition).tolist()))


@pytest.mark.parametrize(
    ("text", "row_numbers"),
    [
        ("brand:acme", [0, 2]),
        ("brand:nobody", []),
        ("colour:red", []),
        ("price:20", [1]),
        ("price:30.0", []),  # text is compared as it is written
        ("price:30", [2]),
        ("new:true", [0]),
        ("note:None", []),
        ("price:10..30", [1, 2]),
        ("price:..9.5", [0]),
        ("price:9.6..", [1, 2]),
        ("brand:0..100", []),
    ],
)
def test_a_condition_in_words_finds_values_and_ranges(text: str, row_numbers: list[int]) -> None:
    assert rows(text) == row_numbers


def test_of_several_conditions_with_one_name_any_may_hold() -> None:
    assert rows("brand:nord", "brand:Acme") == [1, 4]
    assert rows("price:cheap", "price:25..") == [2, 4]
    assert [condition.name for condition in conditions_in(["brand:a", "price:1", "brand:b"])] == ["brand", "price"]


def test_a_condition_in_json_says_the_same_as_in_words() -> None:
    raw = {"brand": "acme", "price": [{"min": 10, "max": 30}, 9.5], "new": True, "year": 1999.0}
    texts = ["brand:acme", "price:10..30", "price:9.5", "new:true", "year:1999"]
    assert conditions_of(raw) == conditions_in(texts)
    assert conditions_of({"price": {"max": 3}}) == (Condition("price", (Between(float("-inf"), 3.0),)),)
    assert conditions_of(None) == ()


@pytest.mark.parametrize("text", ["brand", "brand:", "", ":acme", "price:30..10"])
def test_words_that_are_no_condition_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="where: wanted"):
        conditions_in([text])


@pytest.mark.parametrize(
    "raw",
    [
        "brand:acme",
        ["brand"],
        {"brand": None},
        {"brand": []},
        {"brand": [["acme"]]},
        {"price": {}},
        {"price": {"low": 1}},
        {"price": {"min": "1"}},
        {"price": {"min": True}},
        {"price": {"min": 2, "max": 1}},
        {"": 1},
        {"n": list(range(65))},
    ],
)
def test_json_that_is_no_condition_is_refused(raw: object) -> None:
    with pytest.raises(InvalidInput, match="where: wanted"):
        conditions_of(raw)


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
