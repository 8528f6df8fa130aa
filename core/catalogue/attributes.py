"""Attributes: an index that finds the catalogue rows with a value or a number in a range.

Values are compared as text, so that 1999 in JSON equals "1999" from a file or a query string; values that parse as
numbers can also be compared with a range. Independent of requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.catalogue.columns import extended, with_rows

NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
PLAIN_NUMBER = re.compile(NUMBER, re.ASCII)
NO_ROWS = np.empty(0, np.int64)
SPARE_VALUES = 1024  # distinct values that changes may leave behind before they are dropped


class Between(NamedTuple):
    """A range of numbers, both ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Condition:
    """The attribute has one of these values or lies in one of these ranges."""

    name: str
    any_of: tuple[str | Between, ...]


@dataclass(frozen=True, slots=True)
class _AttributeColumn:
    """One attribute of all items. `codes`: (n,) places in the list of distinct values, -1 without the attribute.

    `code_of`: by value as text; newer columns share and extend it. `numbers`: (values,) NaN for other text.
    """

    codes: NDArray[np.int32]
    code_of: dict[str, int]
    numbers: NDArray[np.float64]

    def rows(self, choices: Sequence[str | Between]) -> IntArray:
        """The rows with one of these values, ascending."""
        chosen = np.zeros(len(self.numbers) + 1, np.bool_)  # the last one is of rows without the attribute
        for choice in choices:
            if isinstance(choice, Between):
                chosen[:-1] |= (self.numbers >= choice.low) & (self.numbers <= choice.high)
            elif (code := self.code_of.get(choice, len(self.numbers))) < len(self.numbers):
                chosen[code] = True
        return np.flatnonzero(chosen[self.codes])

    def with_values(self, rows: IntArray, values: Sequence[str | None]) -> _AttributeColumn:
        """A copy with values at ascending rows; see `core.catalogue.columns.with_rows`."""
        size = len(self.numbers)
        distinct = dict.fromkeys(value for value in values if value is not None)
        new = [value for value in distinct if self.code_of.get(value, size) >= size]
        code_of = extended(self.code_of, size, {value: size + place for place, value in enumerate(new)})
        codes = np.array([-1 if value is None else code_of[value] for value in values], np.int32)
        numbers = np.append(self.numbers, [number_of(value) for value in new]) if new else self.numbers
        return _AttributeColumn(with_rows(self.codes, rows, codes), code_of, numbers)

    def differs(self, rows: IntArray, values: Sequence[str | None]) -> bool:
        """Whether any of these existing rows has another value."""
        codes = [-1 if value is None else self.code_of.get(value, -2) for value in values]
        return bool(self.codes[rows].tolist() != codes)

    def compacted(self) -> _AttributeColumn:
        """Without the values that no item has any more, if these may be the most."""
        if len(self.numbers) <= 2 * len(self.codes) + SPARE_VALUES:
            return self
        used, codes = np.unique(self.codes[self.codes >= 0], return_inverse=True)
        names = list(islice(self.code_of, len(self.numbers)))
        compact = np.full(len(self.codes), -1, np.int32)
        compact[self.codes >= 0] = codes
        return _AttributeColumn(
            compact, {names[code]: place for place, code in enumerate(used.tolist())}, self.numbers[used]
        )


class AttributeIndex:
    """Finds the rows of a catalogue by attribute values; immutable."""

    def __init__(self, attributes: Sequence[Mapping[str, Any]]) -> None:
        rows = np.arange(len(attributes))
        names = dict.fromkeys(name for values in attributes for name in values)
        self._columns = {name: _absent(0).with_values(rows, _texts(attributes, name)) for name in names}

    def with_rows(self, rows: IntArray, attributes: Sequence[Mapping[str, Any]], *, num_rows: int) -> AttributeIndex:
        """A copy in which these rows, ascending, have these attributes. `num_rows`: before the change.

        Rows from `num_rows` on are new. Only the attributes that changed are copied.
        """
        copy = AttributeIndex(())
        copy._columns = dict(self._columns)
        for name in self._columns.keys() | {name for values in attributes for name in values}:
            column, texts = self._columns.get(name) or _absent(num_rows), _texts(attributes, name)
            if rows.max(initial=-1) >= num_rows or column.differs(rows, texts):
                copy._columns[name] = column.with_values(rows, texts).compacted()
        return copy

    def rows(self, condition: Condition) -> IntArray:
        """The rows that satisfy a condition, ascending."""
        column = self._columns.get(condition.name)
        return NO_ROWS if column is None else column.rows(condition.any_of)


def _absent(num_rows: int) -> _AttributeColumn:
    return _AttributeColumn(np.full(num_rows, -1, np.int32), {}, np.empty(0))


def _texts(attributes: Sequence[Mapping[str, Any]], name: str) -> list[str | None]:
    column = (values.get(name) for values in attributes)
    return [None if value is None else as_text(value) for value in column]


def number_of(text: str) -> float:
    """The number that a text is, NaN for other text."""
    return float(text) if PLAIN_NUMBER.fullmatch(text) else np.nan


def as_text(value: object) -> str:
    """A value as compared: `true`, `false`, `2` for 2.0, other text unchanged."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
