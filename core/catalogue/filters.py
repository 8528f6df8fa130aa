"""Filters: which items may be recommended, as conditions on attributes, categories and item ids, with "not" and "or".

The names `categories` and `item_id` mean the item's own; every other name is an attribute. Conditions are found by the
catalogue's indexes, not by reading items. Independent of requests and scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np

from core.arrays import BoolArray, IntArray
from core.catalogue.attributes import NO_ROWS, NUMBER, Between, Condition, as_text
from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from core.events.interactions import check_id, is_scalar, shorten

CATEGORIES, ITEM_ID = "categories", "item_id"
NOT, OR = "not", "or"
NOT_SIGN = "!"  # before a name in a query string
MAX_CHOICES = 64  # of one filter, over all its conditions
MAX_DEPTH = 4  # of "not" and "or" inside each other
MAX_ENTRIES = MAX_CHOICES * 3 * (MAX_DEPTH + 1)  # a name, a list and a range at each level
RANGE = re.compile(rf"({NUMBER})?\.\.({NUMBER})?", re.ASCII)
NEARLY_RANGE = re.compile(r"([+-]?\d[\w,]*(\.\w+)?)?\.\.([+-]?\d[\w,]*(\.\w+)?)?", re.ASCII)  # as 10,5..20 or 10..2O


@dataclass(frozen=True, slots=True)
class Not:
    """These do not all hold; an item without an attribute has none of its values."""

    operand: Filter


@dataclass(frozen=True, slots=True)
class Or:
    """One of these holds."""

    alternatives: tuple[Filter, ...]


Filter: TypeAlias = "tuple[Condition | Not | Or, ...]"  # all of them hold; the empty one holds for every item


def matching(catalogue: Catalogue, condition: Filter) -> BoolArray:
    """(n,) whether each catalogue row satisfies a filter."""
    masks = [_mask(catalogue, part) for part in condition]
    return reduce(np.logical_and, masks) if masks else np.ones(len(catalogue), np.bool_)


def _mask(catalogue: Catalogue, part: Condition | Not | Or) -> BoolArray:
    if isinstance(part, Not):
        return ~matching(catalogue, part.operand)
    if isinstance(part, Or):
        return reduce(np.logical_or, (matching(catalogue, alternative) for alternative in part.alternatives))
    mask = np.zeros(len(catalogue), np.bool_)
    mask[rows_with(catalogue, part)] = True
    return mask


def rows_with(catalogue: Catalogue, condition: Condition) -> IntArray:
    """The rows that satisfy one condition; a row may occur twice."""
    if condition.name == ITEM_ID:
        rows = catalogue.rows_of_ids([str(item_id) for item_id in condition.any_of])
        return rows[rows >= 0]
    if condition.name == CATEGORIES:
        return np.concatenate([catalogue.category_rows.get(str(name), NO_ROWS) for name in condition.any_of])
    return catalogue.by_attribute.rows(condition)


def filter_in(texts: Sequence[str]) -> Filter:
    """Parse NAME:VALUE and NAME:LOW..HIGH (either end optional), with "!" before NAME for "not".

    Conditions with the same name are alternatives.
    """
    choices: dict[str, list[str | Between]] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not value:
            msg = f"where: wanted NAME:VALUE or NAME:LOW..HIGH, got {shorten(text)}"
            raise InvalidInput(msg, field="where")
        choices.setdefault(name, []).append(_range(value) or value)
    parsed: list[Condition | Not | Or] = []
    for name, values in choices.items():
        condition = _condition(name.removeprefix(NOT_SIGN), values, "where")
        parsed.append(Not((condition,)) if name.startswith(NOT_SIGN) else condition)
    return _checked(tuple(parsed), "where")


def _range(text: str) -> Between | None:
    match = RANGE.fullmatch(text)
    if match is None:
        if NEARLY_RANGE.fullmatch(text):
            msg = f"where: wanted NAME:LOW..HIGH with numbers such as 10 or 10.5, got {shorten(text)}"
            raise InvalidInput(msg, field="where")
        return None
    if text == "..":
        return None
    low, high = match.groups()
    return _between(float(low or "-inf"), float(high or "inf"), "where")


def _between(low: float, high: float, field: str) -> Between:
    if low > high:
        msg = f"{field}: wanted a range from the lower number to the higher one, got {low:g} to {high:g}"
        raise InvalidInput(msg, field=field)
    return Between(low, high)


def filter_of(raw: object, *, field: str = "where") -> Filter:
    """Parse JSON: for each name a value, {"min", "max"}, or a list of alternatives, all of which hold.

    "not" has an object, or a list of objects of which none may hold; "or" has a list of objects of which one holds.
    Raises `InvalidInput` about `field`.
    """
    if _is_large(raw):
        msg = f"{field}: wanted at most {MAX_CHOICES} values in all, got many more"
        raise InvalidInput(msg, field=field)
    return _checked(_filter(raw, field, MAX_DEPTH), field)


def _is_large(raw: object) -> bool:
    """Whether there are more entries, at all levels, than a filter of `MAX_CHOICES` values can have."""
    rest, num = [raw], 0
    while rest and num <= MAX_ENTRIES:
        value = rest.pop()
        if isinstance(value, Mapping | list):
            num += len(value)
            rest.extend(value.values() if isinstance(value, Mapping) else value)
    return num > MAX_ENTRIES


def _filter(raw: object, field: str, depth: int) -> Filter:
    if raw is None:
        return ()
    if not isinstance(raw, Mapping):
        msg = f'{field}: wanted an object as {{"brand": "x", "price": {{"max": 30}}}}, got {shorten(raw)}'
        raise InvalidInput(msg, field=field)
    if not depth:
        msg = f'{field}: wanted "not" and "or" at most {MAX_DEPTH} deep, got more; combine conditions'
        raise InvalidInput(msg, field=field)
    return tuple(part for name, value in raw.items() for part in _parts(name, value, field, depth))


def _parts(name: str, value: object, field: str, depth: int) -> list[Condition | Not | Or]:
    if name == NOT:
        objects = value if isinstance(value, list) else [value]
        return [Not(_some(operand, f"{field}.{NOT}", depth)) for operand in objects]
    if name == OR:
        if not isinstance(value, list) or not value:
            msg = f'{field}.{OR}: wanted a list of objects as [{{"brand": "x"}}, ...], got {shorten(value)}'
            raise InvalidInput(msg, field=f"{field}.{OR}")
        return [Or(tuple(_some(alternative, f"{field}.{OR}", depth) for alternative in value))]
    choices = value if isinstance(value, list) else [value]
    return [_condition(name, [_choice(choice, field) for choice in choices], field)]


def _some(raw: object, field: str, depth: int) -> Filter:
    operand = _filter(raw, field, depth - 1)
    if not operand:
        msg = f'{field}: wanted an object with a condition as {{"brand": "x"}}, got {shorten(raw)}'
        raise InvalidInput(msg, field=field)
    return operand


def _choice(value: object, field: str) -> str | Between:
    if isinstance(value, Mapping):
        if value and set(value) <= {"min", "max"} and all(map(_is_number, value.values())):
            return _between(float(value.get("min", "-inf")), float(value.get("max", "inf")), field)
    elif value is not None and is_scalar(value):
        return as_text(value)
    msg = f'{field}: wanted a string, number, boolean or {{"min": ..., "max": ...}}, got {shorten(value)}'
    raise InvalidInput(msg, field=field)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_scalar(value)


def _condition(name: str, choices: Sequence[str | Between], field: str) -> Condition:
    if not choices:
        msg = f"{field}: wanted a value for each name, got none for {shorten(name)}"
        raise InvalidInput(msg, field=field)
    if name in (CATEGORIES, ITEM_ID) and any(isinstance(choice, Between) for choice in choices):
        msg = f"{field}: wanted names for {name}, got a range; ranges are for attributes"
        raise InvalidInput(msg, field=field)
    return Condition(check_id(field, name), tuple(choices))


def _checked(condition: Filter, field: str) -> Filter:
    num = _num_choices(condition)
    if num > MAX_CHOICES:
        msg = f"{field}: wanted at most {MAX_CHOICES} values in all, got {num}"
        raise InvalidInput(msg, field=field)
    return condition


def _num_choices(condition: Filter) -> int:
    return sum(map(_size, condition))


def _size(part: Condition | Not | Or) -> int:
    if isinstance(part, Not):
        return _num_choices(part.operand)
    return sum(map(_num_choices, part.alternatives)) if isinstance(part, Or) else len(part.any_of)
