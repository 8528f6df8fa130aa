"""Attributes: which items of a catalogue have the values that a wish asks for.

Values are compared as text, so that 1999 in JSON and "1999" out of a file or an address are one value; what reads as a
number also lies between others. Knows nothing about requests or about what attributes mean.
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

MAX_CHOICES = 64  # of one wish, over all attributes
NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
PLAIN_NUMBER = re.compile(NUMBER, re.ASCII)
RANGE = re.compile(rf"({NUMBER})?\.\.({NUMBER})?", re.ASCII)
NO_ROWS = np.empty(0, np.int64)


class Between(NamedTuple):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Condition:
    """An attribute has one of these values, or one that lies between two numbers."""

    name: str
    any_of: tuple[str | Between, ...]


class AttributeIndex:
    """The rows of a catalogue by what their items say of themselves."""

    def __init__(self, attributes: Sequence[Mapping[str, Any]]) -> None:
        found: dict[str, dict[str, list[int]]] = {}
        for row, own in enumerate(attributes):
            for name, value in own.items():
                if value is not None:
                    found.setdefault(name, {}).setdefault(as_text(value), []).append(row)
        self._rows = {
            name: {value: np.array(rows, np.int64) for value, rows in by_value.items()}
            for name, by_value in found.items()
        }
        self._numbers: dict[str, tuple[NDArray[np.float64], IntArray]] = {}  # made when first asked for

    def rows(self, condition: Condition) -> IntArray:
        """The rows that fulfil a condition, in no particular order, some perhaps twice."""
        return np.concatenate([self._chosen(condition.name, choice) for choice in condition.any_of])

    def _chosen(self, name: str, choice: str | Between) -> IntArray:
        by_value = self._rows.get(name, {})
        if isinstance(choice, str):
            return by_value.get(choice, NO_ROWS)
        if name not in self._numbers:
            self._numbers[name] = _sorted_numbers(by_value)
        numbers, rows = self._numbers[name]
        return rows[np.searchsorted(numbers, choice.low, "left") : np.searchsorted(numbers, choice.high, "right")]


def _sorted_numbers(by_value: Mapping[str, IntArray]) -> tuple[NDArray[np.float64], IntArray]:
    """The values that read as numbers, ascending, one for each row, and the rows."""
    known = {value: rows for value, rows in by_value.items() if PLAIN_NUMBER.fullmatch(value)}
    numbers = np.repeat([float(value) for value in known], [len(rows) for rows in known.values()])
    rows = np.concatenate([NO_ROWS, *known.values()])
    order = np.argsort(numbers, kind="stable")
    return numbers[order], rows[order]


def as_text(value: object) -> str:
    """A value as it is compared: `true`, `false`, 2 for 2.0, and text as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def conditions_in(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Conditions as NAME:VALUE or NAME:LOW..HIGH, either end left out; of several with one name any may hold."""
    choices: dict[str, list[str | Between]] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not value:
            msg = f"where: wanted NAME:VALUE or NAME:LOW..HIGH, got {shorten(text)}"
            raise InvalidInput(msg, field="where")
        choices.setdefault(name, []).append(_range(value) or value)
    return _checked(choices)


def _range(text: str) -> Between | None:
    found = RANGE.fullmatch(text)
    if found is None or text == "..":
        return None
    low, high = found.groups()
    return _between(float(low or "-inf"), float(high or "inf"))


def _between(low: float, high: float) -> Between:
    if low > high:
        msg = f"where: wanted a range from the lower number to the higher one, got {low:g} to {high:g}"
        raise InvalidInput(msg, field="where")
    return Between(low, high)


def conditions_of(raw: object) -> tuple[Condition, ...]:
    """Conditions out of JSON: by name a value, {"min", "max"}, or a list of these of which any may hold."""
    if raw is None:
        return ()
    if not isinstance(raw, Mapping):
        msg = f'where: wanted an object as {{"brand": "x", "price": {{"max": 30}}}}, got {shorten(raw)}'
        raise InvalidInput(msg, field="where")
    lists = {name: given if isinstance(given, list) else [given] for name, given in raw.items()}
    return _checked({name: [_choice(one) for one in given] for name, given in lists.items()})


def _choice(given: object) -> str | Between:
    if isinstance(given, Mapping):
        if given and set(given) <= {"min", "max"} and all(map(_is_number, given.values())):
            return _between(float(given.get("min", "-inf")), float(given.get("max", "inf")))
    elif given is not None and is_scalar(given):
        return as_text(given)
    msg = f'where: wanted a string, number, boolean or {{"min": ..., "max": ...}}, got {shorten(given)}'
    raise InvalidInput(msg, field="where")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_scalar(value)


def _checked(choices: Mapping[str, Sequence[str | Between]]) -> tuple[Condition, ...]:
    num = sum(map(len, choices.values()))
    if num > MAX_CHOICES or not all(choices.values()):
        msg = f"where: wanted a value for each name, at most {MAX_CHOICES} in all, got {num} for {len(choices)} names"
        raise InvalidInput(msg, field="where")
    return tuple(Condition(check_id("where", name), tuple(given)) for name, given in choices.items())
