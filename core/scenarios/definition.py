"""Reads a scenario from JSON or TOML; every error names the field that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from core.catalogue.filters import ITEM_ID, Filter, filter_of
from core.clock import DAY_MS
from core.errors import InvalidInput
from core.events.interactions import check_id, shorten
from core.json_fields import check_description, choice, entries, number, object_fields, optional_number, whole_number
from core.scenarios.scenario import Boost, Cap, Exploration, Fallback, Pin, Scenario

MAX_N, MAX_POSITION = 500, 100
MAX_BOOSTS, MAX_PINS, MAX_CAPS = 16, 32, 4
MAX_POOL = 1_000
MAX_DAYS = 36_500.0
MAX_FACTOR = 1_000.0

FIELDS = ("description", "n", "where", "max_age_days", "seen", "boosts", "pins", "diversity", "exploration", "fallback")


def parse_scenario(raw: object, *, name: str = "") -> Scenario:
    """A decoded JSON object as a scenario; raises `InvalidInput` with the path of the wrong field."""
    values = object_fields(raw, "scenario", FIELDS)
    check_description(values.get("description"))
    diversity = object_fields(values.get("diversity", {}), "diversity", ("at_most", "mmr"))
    fallback = choice(values, "fallback", ("popular", "latest", "none"), "popular")
    seen = choice(values, "seen", ("exclude", "include"), None)
    days = optional_number(values, "max_age_days", low=0.0, high=MAX_DAYS)
    return Scenario(
        name=name,
        n=whole_number(values["n"], "n", MAX_N) if "n" in values else None,
        where=filter_of(values.get("where")),
        max_age_ms=None if days is None else round(days * DAY_MS),
        exclude_seen=None if seen is None else seen == "exclude",
        boosts=tuple(_boost(boost, field) for boost, field in entries(values, "boosts", MAX_BOOSTS)),
        pins=_pins(values),
        caps=_caps(diversity.get("at_most", {})),
        mmr=optional_number(diversity, "mmr", prefix="diversity.", low=0.0, high=1.0),
        exploration=_exploration(values["exploration"]) if "exploration" in values else None,
        fallback=cast(Fallback, fallback),
    )


def _boost(raw: object, field: str) -> Boost:
    values = object_fields(raw, field, ("where", "factor"), required=("where", "factor"))
    factor = number(values["factor"], f"{field}.factor", low=1 / MAX_FACTOR, high=MAX_FACTOR)
    return Boost(_filter(values, field), factor)


def _pins(scenario: Mapping[str, Any]) -> tuple[Pin, ...]:
    pins: list[Pin] = []
    for raw, field in entries(scenario, "pins", MAX_PINS):
        values = object_fields(raw, field, ("position", "item_id", "where"), required=("position",))
        if ("item_id" in values) == ("where" in values):
            msg = f"{field}: wanted either item_id or where, got {shorten(raw)}"
            raise InvalidInput(msg, field=field)
        if "item_id" in values:
            check_id(f"{field}.item_id", values["item_id"])
            values["where"] = {ITEM_ID: values["item_id"]}
        pins.append(Pin(whole_number(values["position"], f"{field}.position", MAX_POSITION), _filter(values, field)))
        if pins[-1].position in (pin.position for pin in pins[:-1]):
            msg = f"{field}.position: wanted one pin for each position, got two for {pins[-1].position}"
            raise InvalidInput(msg, field=f"{field}.position")
    return tuple(pins)


def _caps(raw: object) -> tuple[Cap, ...]:
    field = "diversity.at_most"
    if not isinstance(raw, Mapping) or len(raw) > MAX_CAPS:
        msg = f'{field}: wanted an object of at most {MAX_CAPS} names as {{"categories": 2}}, got {shorten(raw)}'
        raise InvalidInput(msg, field=field)
    return tuple(Cap(check_id(field, name), whole_number(num, f"{field}.{name}", MAX_N)) for name, num in raw.items())


def _exploration(raw: object) -> Exploration:
    field = "exploration"
    values = object_fields(raw, field, ("share", "pool", "new_share", "new_days", "new_items"), required=("share",))
    default = Exploration(0.0)
    new_share = optional_number(values, "new_share", prefix=f"{field}.", low=0.0, high=1.0)
    days = optional_number(values, "new_days", prefix=f"{field}.", low=0.0, high=MAX_DAYS)
    return Exploration(
        share=number(values["share"], f"{field}.share", low=0.0, high=1.0),
        pool=whole_number(values["pool"], f"{field}.pool", MAX_POOL) if "pool" in values else default.pool,
        new_share=default.new_share if new_share is None else new_share,
        new_ms=default.new_ms if days is None else round(days * DAY_MS),
        new_items=whole_number(values["new_items"], f"{field}.new_items", MAX_N) if "new_items" in values else 0,
    )


def _filter(values: Mapping[str, Any], field: str) -> Filter:
    where = filter_of(values["where"], field=f"{field}.where")
    if not where:
        msg = f'{field}.where: wanted a condition as {{"brand": "x"}}, got none; it would be every item'
        raise InvalidInput(msg, field=f"{field}.where")
    return where
