"""Attribute filters: conditions on item attributes, and an index that finds the matching catalogue rows.

Values are compared as text, so that 1999 in JSON equals "1999" from a file or a query string; values that parse as
numbers can also be compared with a range. Independent of requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.errors import InvalidInput
from core.interactions import check_id, is_scalar, shorten

MAX_CHOICES = 64  # of a request, over all attributes
NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
PLAIN_NUMBER = re.compile(NUMBER, re.ASCII)
RANGE = re.compile(rf"({NUMBER})?\.\.({NUMBER})?", re.ASCII)
NO_ROWS = np.empty(0, np.int64)


class Between(NamedTuple):
    """A range of numbers, both ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter: the attribute has one of these values or lies in one of these ranges."""

    name: str
    any_of: tuple[str | Between, ...]


class AttributeIndex:
    """Finds the rows of a catalogue by attribute values."""

    def __init__(self, attributes: Sequence[Mapping[str, Any]]) -> None:
        rows_by_value: dict[str, dict[str, list[int]]] = {}
        for row, values in enumerate(attributes):
            for name, value in values.items():
                if value is not None:
                    rows_by_value.setdefault(name, {}).setdefault(as_text(value), []).append(row)
        self._rows = {
            name: {value: np.array(rows, np.int64) for value, rows in by_value.items()}
            for name, by_value in rows_by_value.items()
        }
        self._numbers: dict[str, tuple[NDArray[np.float64], IntArray]] = {}  # built at the first range query

    def rows(self, condition: Condition) -> IntArray:
        """The rows that satisfy a condition, unordered, possibly with duplicates."""
        return np.concatenate([self._matches(condition.name, choice) for choice in condition.any_of])

    def _matches(self, name: str, choice: str | Between) -> IntArray:
        by_value = self._rows.get(name, {})
        if isinstance(choice, str):
            return by_value.get(choice, NO_ROWS)
        if name not in self._numbers:
            self._numbers[name] = _sorted_numbers(by_value)
        numbers, rows = self._numbers[name]
        return rows[np.searchsorted(numbers, choice.low, "left") : np.searchsorted(numbers, choice.high, "right")]


def _sorted_numbers(by_value: Mapping[str, IntArray]) -> tuple[NDArray[np.float64], IntArray]:
    """The values that parse as numbers, ascending, one per row, and the rows."""
    numeric = {value: rows for value, rows in by_value.items() if PLAIN_NUMBER.fullmatch(value)}
    numbers = np.repeat([float(value) for value in numeric], [len(rows) for rows in numeric.values()])
    rows = np.concatenate([NO_ROWS, *numeric.values()])
    order = np.argsort(numbers, kind="stable")
    return numbers[order], rows[order]


def as_text(value: object) -> str:
    """A value as compared: `true`, `false`, `2` for 2.0, other text unchanged."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def conditions_in(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Parse NAME:VALUE and NAME:LOW..HIGH (either end optional); conditions with the same name are alternatives."""
    choices: dict[str, list[str | Between]] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not value:
            msg = f"where: wanted NAME:VALUE or NAME:LOW..HIGH, got {shorten(text)}"
            raise InvalidInput(msg, field="where")
        choices.setdefault(name, []).append(_range(value) or value)
    return _checked(choices)


def _range(text: str) -> Between | None:
    match = RANGE.fullmatch(text)
    if match is None or text == "..":
        return None
    low, high = match.groups()
    return _between(float(low or "-inf"), float(high or "inf"))


def _between(low: float, high: float) -> Between:
    if low > high:
        msg = f"where: wanted a range from the lower number to the higher one, got {low:g} to {high:g}"
        raise InvalidInput(msg, field="where")
    return Between(low, high)


def conditions_of(raw: object) -> tuple[Condition, ...]:
    """Parse JSON: for each name a value, {"min", "max"}, or a list of alternatives."""
    if raw is None:
        return ()
    if not isinstance(raw, Mapping):
        msg = f'where: wanted an object as {{"brand": "x", "price": {{"max": 30}}}}, got {shorten(raw)}'
        raise InvalidInput(msg, field="where")
    lists = {name: value if isinstance(value, list) else [value] for name, value in raw.items()}
    return _checked({name: [_choice(value) for value in values] for name, values in lists.items()})


def _choice(value: object) -> str | Between:
    if isinstance(value, Mapping):
        if value and set(value) <= {"min", "max"} and all(map(_is_number, value.values())):
            return _between(float(value.get("min", "-inf")), float(value.get("max", "inf")))
    elif value is not None and is_scalar(value):
        return as_text(value)
    msg = f'where: wanted a string, number, boolean or {{"min": ..., "max": ...}}, got {shorten(value)}'
    raise InvalidInput(msg, field="where")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_scalar(value)


def _checked(choices: Mapping[str, Sequence[str | Between]]) -> tuple[Condition, ...]:
    num = sum(map(len, choices.values()))
    if num > MAX_CHOICES or not all(choices.values()):
        msg = f"where: wanted a value for each name, at most {MAX_CHOICES} in all, got {num} for {len(choices)} names"
        raise InvalidInput(msg, field="where")
    return tuple(Condition(check_id("where", name), tuple(values)) for name, values in choices.items())
