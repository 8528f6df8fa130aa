"""Items: foreign input becomes a catalogue item or a clear refusal; the catalogue finds rows by key and category."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.catalogue.items import EMPTY_CATALOGUE, Catalogue, Item, parse_item
from core.errors import InvalidItem


def refusal(**raw: Any) -> str:
    with pytest.raises(InvalidItem) as caught:
        parse_item({"item_id": "tea"} | raw)
    message = str(caught.value)
    assert message.partition(": ")[0].strip("'") == caught.value.field
    return message


def catalogue() -> Catalogue:
    return Catalogue(
        np.array([2, 5, 9]),
        ("tea", "jam", "pen"),
        ("", "", ""),
        (("food", "hot"), ("food",), ()),
        np.ones(3, np.bool_),
        4,
    )


def test_an_id_is_enough_and_every_field_given_is_kept() -> None:
    assert parse_item({"item_id": "tea"}) == Item("tea")
    full = {
        "item_id": "tea",
        "title": "Green tea",
        "text": "loose",
        "categories": ["food", "hot"],
        "attributes": {"grams": 100, "organic": True, "price": 3.5, "brand": "X", "note": None},
        "hidden": True,
    }
    assert parse_item(full) == Item("tea", "Green tea", "loose", ("food", "hot"), full["attributes"], True)  # type: ignore[arg-type]


def test_null_means_not_given_for_every_optional_field() -> None:
    names = ("title", "text", "categories", "attributes", "hidden")
    assert parse_item({"item_id": "tea"} | dict.fromkeys(names)) == Item("tea")


def test_a_category_named_twice_counts_once_in_the_order_given() -> None:
    assert parse_item({"item_id": "t", "categories": ["b", "a", "b"]}).categories == ("b", "a")


def test_text_that_databases_reject_is_repaired() -> None:
    item = parse_item({"item_id": "t", "title": "a\x00b\ud800", "attributes": {"brand": "c\x00\ud800"}})
    assert (item.title, item.attributes) == ("a b?", {"brand": "c ?"})


@pytest.mark.parametrize("raw", [None, "tea", ["tea"]])
def test_what_is_no_object_is_refused(raw: object) -> None:
    with pytest.raises(InvalidItem, match="item: wanted a JSON object, got "):
        parse_item(raw)


@pytest.mark.parametrize(
    ("field", "bad", "words"),
    [
        ("item_id", "", "item_id: wanted 1 to 256 bytes"),
        (
            "price",
            3,
            "'price': unknown field; known fields are item_id, title, text, categories, attributes, hidden, "
            "available_from, available_until, stock; put",
        ),
        ("title", 3, "title: wanted text of at most 10000 characters, got 3"),
        ("text", "x" * 10_001, "text: wanted text of at most 10000 characters"),
        ("categories", "food", "categories: wanted a list of at most 64 names, got 'food'"),
        ("categories", {"food": 1}, "categories: wanted a list"),
        ("categories", [str(i) for i in range(65)], "categories: wanted a list of at most 64 names"),
        ("categories", ["a\n"], "categories: wanted no control characters"),
        ("attributes", ["a"], "attributes: wanted a map of at most 64 entries"),
        ("attributes", {str(i): i for i in range(65)}, "attributes: wanted a map of at most 64 entries"),
        ("attributes", {"": 1}, "attributes: wanted 1 to 256 bytes"),
        ("attributes", {"a": []}, "attributes.a: wanted a string, finite number or boolean, got []"),
        ("attributes", {"a": float("nan")}, "attributes.a: wanted a string, finite number or boolean, got nan"),
        ("attributes", {"a": 10**5000}, "attributes.a: wanted a string, finite number or boolean, got an integer of"),
        ("attributes", {"a": "x" * 10_001}, "attributes.a: wanted a string of at most 10000 characters"),
        ("hidden", "no", "hidden: wanted true or false, got 'no'"),
    ],
)
def test_a_bad_field_is_refused_by_name(field: str, bad: object, words: str) -> None:
    assert refusal(**{field: bad}).startswith(words)


def test_rows_are_found_by_key_and_unknown_keys_have_none() -> None:
    assert catalogue().rows(np.array([9, 2, 3, 99, -1, 0])).tolist() == [2, 0, -1, -1, -1, -1]
    assert EMPTY_CATALOGUE.rows(np.array([1, 2])).tolist() == [-1, -1]
    assert len(EMPTY_CATALOGUE) == 0


def test_rows_are_found_by_id_and_unknown_ids_have_none() -> None:
    assert catalogue().rows_of_ids(["pen", "tea", "no such", "tea"]).tolist() == [2, 0, -1, 0]


def test_each_category_lists_its_rows_in_order() -> None:
    rows = {name: row_numbers.tolist() for name, row_numbers in catalogue().category_rows.items()}
    assert rows == {"food": [0, 1], "hot": [0]}


def test_columns_of_different_lengths_are_our_mistake() -> None:
    with pytest.raises(AssertionError, match="wanted columns of one length"):
        Catalogue(np.array([1]), (), (), (), np.empty(0, np.bool_))
