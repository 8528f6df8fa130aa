"""The definition of a scenario: JSON with known fields in known ranges, and an error that names the wrong field."""

from __future__ import annotations

from typing import Any

import pytest

from core.catalogue.attributes import Between, Condition
from core.catalogue.filters import Not
from core.errors import InvalidInput
from core.json_fields import check_name
from core.scenarios.definition import parse_scenario
from core.scenarios.scenario import Boost, Cap, Exploration, Pin, Scenario

DAY_MS = 86_400_000
HOMEPAGE: dict[str, Any] = {
    "description": "The start page",
    "n": 12,
    "where": {"in_stock": True, "not": {"categories": "sale"}},
    "max_age_days": 365,
    "seen": "include",
    "boosts": [{"where": {"brand": "acme"}, "factor": 2}],
    "pins": [{"position": 1, "item_id": "tent"}, {"position": 3, "where": {"price": {"max": 10}}}],
    "diversity": {"at_most": {"categories": 2, "brand": 3}, "mmr": 0.7},
    "exploration": {"share": 0.1, "new_days": 14, "new_items": 2},
    "fallback": "latest",
}


def test_an_object_says_all_parts_of_a_scenario() -> None:
    assert parse_scenario(HOMEPAGE, name="homepage") == Scenario(
        name="homepage",
        n=12,
        where=(Condition("in_stock", ("true",)), Not((Condition("categories", ("sale",)),))),
        max_age_ms=365 * DAY_MS,
        exclude_seen=False,
        boosts=(Boost((Condition("brand", ("acme",)),), 2.0),),
        pins=(
            Pin(1, (Condition("item_id", ("tent",)),)),
            Pin(3, (Condition("price", (Between(float("-inf"), 10.0),)),)),
        ),
        caps=(Cap("categories", 2), Cap("brand", 3)),
        mmr=0.7,
        exploration=Exploration(0.1, new_ms=14 * DAY_MS, new_items=2),
        fallback="latest",
    )


def test_an_empty_object_changes_nothing() -> None:
    assert parse_scenario({}) == parse_scenario({"n": None, "where": None}) == Scenario()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ([], "scenario"),
        ({"boost": []}, "boost"),
        ({"description": 1}, "description"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"n": 501}, "n"),
        ({"where": {"brand": []}}, "where"),
        ({"max_age_days": "7"}, "max_age_days"),
        ({"seen": "hide"}, "seen"),
        ({"boosts": {}}, "boosts"),
        ({"boosts": [{}] * 17}, "boosts"),
        ({"boosts": [{"factor": 2}]}, "boosts[0].where"),
        ({"boosts": [{"where": {"a": 1}, "factor": 2}, {"where": {}, "factor": 2}]}, "boosts[1].where"),
        ({"boosts": [{"where": {"a": 1}, "factor": 0}]}, "boosts[0].factor"),
        ({"boosts": [{"where": {"a": 1}, "factor": float("nan")}]}, "boosts[0].factor"),
        ({"pins": [{"item_id": "a"}]}, "pins[0].position"),
        ({"pins": [{"position": 101, "item_id": "a"}]}, "pins[0].position"),
        ({"pins": [{"position": 1, "item_id": 7}]}, "pins[0].item_id"),
        ({"pins": [{"position": 1}]}, "pins[0]"),
        ({"pins": [{"position": 1, "item_id": "a", "where": {"b": 1}}]}, "pins[0]"),
        ({"pins": [{"position": 1, "item_id": name} for name in "ab"]}, "pins[1].position"),
        ({"diversity": {"at_most": ["categories"]}}, "diversity.at_most"),
        ({"diversity": {"at_most": {"brand": 0}}}, "diversity.at_most.brand"),
        ({"diversity": {"mmr": 1.1}}, "diversity.mmr"),
        ({"diversity": {"lambda": 1}}, "lambda"),
        ({"exploration": {"pool": 10}}, "exploration.share"),
        ({"exploration": {"share": -0.1}}, "exploration.share"),
        ({"exploration": {"share": 0.1, "pool": 0}}, "exploration.pool"),
        ({"exploration": {"share": 0.1, "new_share": 2}}, "exploration.new_share"),
        ({"exploration": {"share": 0.1, "new_items": 0}}, "exploration.new_items"),
        ({"fallback": "random"}, "fallback"),
    ],
)
def test_an_error_names_the_wrong_field(raw: object, field: str) -> None:
    with pytest.raises(InvalidInput, match=r"wanted|unknown") as caught:
        parse_scenario(raw)
    assert caught.value.field == field


def test_names_are_short_and_plain() -> None:
    assert [check_name(name) for name in ("homepage", "2nd_page-b")] == ["homepage", "2nd_page-b"]
    for name in ("", "Home", "-a", "a b", "a/b", "a" * 65):
        with pytest.raises(InvalidInput, match="name: wanted"):
            check_name(name)
