"""Filters: conditions in words and in JSON, combined by "not" and "or", and the catalogue rows that satisfy them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.attributes import Between, Condition, as_text
from core.catalogue.filters import MAX_DEPTH, filter_in, filter_of, matching
from core.catalogue.items import Catalogue
from core.errors import InvalidInput

SHELF: tuple[dict[str, Any], ...] = (
    {"brand": "acme", "price": 9.5, "new": True},
    {"brand": "nord", "price": "20"},
    {"brand": "acme", "price": 30, "new": False, "note": None},
    {},
    {"brand": "Acme", "price": "cheap"},
)


def shelf(items: Any = SHELF) -> Catalogue:
    """Items with these attributes, named by letters, in the categories of their letter and of all."""
    ids = [chr(ord("a") + row) for row in range(len(items))]
    categories = [("all", item_id) for item_id in ids]
    return Catalogue(np.arange(len(ids)), ids, ids, categories, np.ones(len(ids), np.bool_), attributes=items)


def rows(*texts: str) -> list[int]:
    """The rows that satisfy a filter in words."""
    return np.flatnonzero(matching(shelf(), filter_in(texts))).tolist()


def rows_of(raw: object) -> list[int]:
    """The rows that satisfy a filter in JSON."""
    return np.flatnonzero(matching(shelf(), filter_of(raw))).tolist()


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
    assert [condition.name for condition in filter_in(["brand:a", "price:1", "brand:b"])] == ["brand", "price"]


@pytest.mark.parametrize("value", ["..", "a..b", "1/2..3/4", "to be.. or 2", "3..x"])
def test_two_dots_in_a_text_make_no_range(value: str) -> None:
    assert filter_in([f"size:{value}"]) == (Condition("size", (value,)),)


def test_a_condition_in_json_says_the_same_as_in_words() -> None:
    raw = {"brand": "acme", "price": [{"min": 10, "max": 30}, 9.5], "new": True, "year": 1999.0}
    texts = ["brand:acme", "price:10..30", "price:9.5", "new:true", "year:1999"]
    assert filter_of(raw) == filter_in(texts)
    assert filter_of({"price": {"max": 3}}) == (Condition("price", (Between(float("-inf"), 3.0),)),)
    assert filter_of(None) == ()


NO_CONDITIONS = ["brand", "brand:", "", ":acme", "price:30..10", "price:10,5..20", "price:10..2O", "price:..30EUR"]


@pytest.mark.parametrize("text", NO_CONDITIONS)
def test_words_that_are_no_condition_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="where: wanted"):
        filter_in([text])


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
        filter_of(raw)


@pytest.mark.parametrize(
    ("raw", "row_numbers"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"not": {"brand": "acme"}}, [1, 3, 4]),
        ({"not": {"brand": "acme", "price": {"max": 10}}}, [1, 2, 3, 4]),  # not both
        ({"not": [{"brand": "acme"}, {"brand": "nord"}]}, [3, 4]),  # neither
        ({"or": [{"brand": "nord"}, {"price": {"max": 10}}]}, [0, 1]),
        ({"brand": "acme", "or": [{"price": 30}, {"new": True, "price": 1}]}, [2]),
        ({"or": [{"not": {"or": [{"brand": "acme"}, {"price": "cheap"}]}}, {"price": 30}]}, [1, 2, 3]),
        ({"categories": ["a", "d", "x"]}, [0, 3]),
        ({"not": {"item_id": ["a", "nothing"]}, "categories": "all"}, [1, 2, 3, 4]),
    ],
)
def test_not_and_or_combine_conditions(raw: object, row_numbers: list[int]) -> None:
    assert rows_of(raw) == row_numbers


def test_a_sign_before_a_name_negates_all_its_alternatives() -> None:
    assert rows("!brand:acme", "!brand:nord") == [3, 4]
    assert rows("!price:..20", "brand:acme") == [2]
    assert filter_in(["!brand:acme"]) == filter_of({"not": {"brand": "acme"}})


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"not": "acme"}, "where.not"),
        ({"not": {}}, "where.not"),
        ({"or": {"brand": "acme"}}, "where.or"),
        ({"or": []}, "where.or"),
        ({"or": [{}]}, "where.or"),
        ({"or": [{"brand": None}]}, "where.or"),
        ({"categories": {"min": 1}}, "where"),
        ({"item_id": [{"max": 1}]}, "where"),
    ],
)
def test_a_wrong_combination_names_its_place(raw: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        filter_of(raw)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "raw", [{"or": [{"a": "1"}] * 100_000}, {"not": {"a": ["1"] * 100_000}}, {"or": [{"not": []}] * 100_000}]
)
def test_a_very_large_filter_is_refused_before_it_is_read(raw: object) -> None:
    with pytest.raises(InvalidInput, match="at most 64 values in all, got many more"):
        filter_of(raw)


def test_combinations_are_bounded_in_depth_and_size() -> None:
    deep: dict[str, Any] = {"brand": "acme"}
    for _ in range(MAX_DEPTH):
        deep = {"not": deep}
    with pytest.raises(InvalidInput, match=f"at most {MAX_DEPTH} deep"):
        filter_of(deep)
    with pytest.raises(InvalidInput, match="at most 64 values in all, got 66"):
        filter_of({"or": [{"n": list(range(33))}, {"not": {"n": list(range(33))}}]})


VALUES = st.sampled_from(["x", "y", 1, 2.5, True])
LEAVES = st.dictionaries(st.sampled_from("pq"), VALUES, min_size=1, max_size=2)
COMBINED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one: {"not": one}, inner),
        st.builds(lambda several: {"or": several}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=4,
)
ITEMS = st.lists(st.dictionaries(st.sampled_from("pq"), VALUES), max_size=8)


def holds(raw: dict[str, Any], item: dict[str, Any]) -> bool:
    """Whether an item satisfies a filter, by its definition."""
    for name, value in raw.items():
        if name == "not" and holds(value, item):
            return False
        if name == "or" and not any(holds(alternative, item) for alternative in value):
            return False
        if name in "pq" and (name not in item or as_text(item[name]) != as_text(value)):
            return False
    return True


@given(items=ITEMS, raw=COMBINED)
def test_the_rows_are_those_of_which_the_definition_holds(items: list[dict[str, Any]], raw: dict[str, Any]) -> None:
    try:
        condition = filter_of(raw)
    except InvalidInput:  # too deep
        return
    assert matching(shelf(items), condition).tolist() == [holds(raw, item) for item in items]
