"""Conditions on the user in filters of items: for one user they are true or false, and what is left is about items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.catalogue.filters import filter_in, filter_of, matching
from core.catalogue.items import Catalogue
from core.users.conditions import UserFacts, depends_on_user, for_user, satisfies

SHOP = Catalogue(
    np.arange(3),
    ["tent", "rope", "mug"],
    [""] * 3,
    [("shelter",), ("climbing",), ()],
    np.ones(3, np.bool_),
    attributes=[{"brand": "acme"}, {"brand": "acme"}, {"brand": "other"}],
)
SEGMENTS = {"adults": filter_of({"age": {"min": 18}}), "german": filter_of({"country": ["de", "at"]})}
ANN = {"country": "de", "age": 34, "premium": True}


def items_for(where: Any, attributes: dict[str, Any]) -> list[str]:
    rows = matching(SHOP, for_user(filter_of(where), UserFacts(attributes, SEGMENTS).hold))
    return [SHOP.item_ids[row] for row in rows.nonzero()[0]]


@pytest.mark.parametrize(
    ("where", "items"),
    [
        ({"user.country": "de"}, ["tent", "rope", "mug"]),
        ({"user.country": "fr"}, []),
        ({"user.country": ["fr", "de"], "brand": "acme"}, ["tent", "rope"]),
        ({"user.age": {"min": 18, "max": 40}}, ["tent", "rope", "mug"]),
        ({"user.premium": True, "user.age": 34.0}, ["tent", "rope", "mug"]),
        ({"user.city": "x"}, []),
        ({"not": {"user.city": "x"}, "brand": "other"}, ["mug"]),
        ({"not": {"user.country": "de"}}, []),
        ({"not": {"user.country": "de", "brand": "acme"}}, ["mug"]),
        ({"or": [{"user.country": "fr"}, {"brand": "other"}]}, ["mug"]),
        ({"or": [{"user.country": "de"}, {"brand": "other"}]}, ["tent", "rope", "mug"]),
        ({"user.segment": "adults"}, ["tent", "rope", "mug"]),
        ({"user.segment": ["german", "gone"], "brand": "acme"}, ["tent", "rope"]),
        ({"user.segment": "gone"}, []),
    ],
)
def test_a_condition_on_the_user_holds_for_every_item_or_for_none(where: Any, items: list[str]) -> None:
    assert items_for(where, ANN) == items


def test_nothing_is_known_of_a_user_without_attributes() -> None:
    assert items_for({"user.country": "de"}, {}) == []
    assert items_for({"not": {"user.segment": "adults"}}, {}) == ["tent", "rope", "mug"]


def test_a_filter_of_items_alone_does_not_depend_on_the_user() -> None:
    assert not depends_on_user(filter_of({"brand": "x", "not": {"categories": "y"}}))
    assert depends_on_user(filter_of({"or": [{"brand": "x"}, {"not": {"user.country": "de"}}]}))
    assert depends_on_user(filter_in(["!user.country:de"]))


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"country": "de"}, True),
        ({"country": "de", "age": {"max": 20}}, False),
        ({"or": [{"country": "fr"}, {"premium": True}]}, True),
        ({"not": [{"country": "fr"}, {"age": 35}]}, True),
        ({"not": {"city": "x"}}, True),
        ({"country": {"min": 1}}, False),
    ],
)
def test_a_segment_holds_by_attributes(where: Any, holds: bool) -> None:
    assert satisfies(filter_of(where), ANN) is holds
