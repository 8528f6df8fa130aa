"""Maps rows of a history file to interactions: validation, time units, and event ids for rows without one.

Independent of files, formats and ingest.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from core.errors import InvalidEvent, InvalidInput, InvalidSettings
from core.imports.row_ordinals import RowOrdinals
from core.imports.rows import Chunk
from core.interactions import (
    LARGEST_TIME_MS,
    SMALLEST_TIME_MS,
    EventTypes,
    Interaction,
    check_id,
    check_value,
    shorten,
)

MAX_CACHED_IDS = 200_000
MS_PER_UNIT = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000)}


@dataclass(frozen=True, slots=True)
class HistoryColumns:
    """The column names of a history file; None: no such column."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "time"
    type: str | None = None
    value: str | None = None
    event_id: str | None = None

    @property
    def required(self) -> tuple[str, str, str]:
        """The required columns."""
        return self.user, self.item, self.time

    def optional(self) -> dict[str, str]:
        """The optional fields with their columns."""
        named = {"type": self.type, "value": self.value, "event_id": self.event_id}
        return {name: column for name, column in named.items() if column is not None}


@dataclass(frozen=True, slots=True)
class RowRules:
    """How rows are mapped. `default_type`: of events without a type. `latest_ms`: later times are in the future."""

    columns: HistoryColumns
    time_unit: str
    types: EventTypes
    default_type: str
    latest_ms: int

    def __post_init__(self) -> None:
        if self.time_unit not in MS_PER_UNIT:
            msg = f"--time-unit: wanted one of {', '.join(MS_PER_UNIT)}, got {shorten(self.time_unit)}"
            raise InvalidSettings(msg)
        self.types.code(self.default_type)

    def in_ms(self, times: Iterable[float]) -> list[int]:
        """Convert times from the file's unit to milliseconds."""
        factor, divisor = MS_PER_UNIT[self.time_unit]
        return [int(time * factor) // divisor for time in times]


class RowMapper:
    """Maps rows to interactions; invalid rows are added to the bad lines of their chunk."""

    def __init__(self, source_name: str, rules: RowRules) -> None:
        self._key = hashlib.blake2b(source_name.encode(errors="surrogateescape")).digest()
        self._optional = tuple(rules.columns.optional())
        self._rules = rules
        self._latest_ms = min(rules.latest_ms, LARGEST_TIME_MS)
        self._valid_ids: set[str] = set()
        self._ordinals = RowOrdinals()

    def events(self, chunk: Chunk) -> list[Interaction]:
        """The interactions of a chunk, in the order of the file."""
        try:
            events = self._mapped(chunk.rows)
        except InvalidInput:
            events = self._one_by_one(chunk)
        if "event_id" not in self._optional:
            self._name(events)
        return events

    def _one_by_one(self, chunk: Chunk) -> list[Interaction]:
        """Map rows one by one; invalid rows are added to the bad lines."""
        events: list[Interaction] = []
        for index, row in enumerate(chunk.rows):
            try:
                events += self._mapped([row])
            except InvalidInput as error:
                chunk.reject(index, str(error))
        chunk.bad.sort(key=lambda bad: bad.line)
        return events

    def _mapped(self, rows: Sequence[Sequence[Any]]) -> list[Interaction]:
        """Map all rows by columns (three times as fast as by rows); raises at the first invalid value."""
        if not rows:
            return []
        users, items, times, *others = zip(*rows, strict=True)
        columns: list[Iterable[Any]] = [repeat(""), self._ids("user", users), self._ids("item", items)]
        optional = dict(zip(self._optional, others, strict=True))
        kinds = self._kinds(optional["type"]) if "type" in optional else repeat(self._rules.default_type)
        columns += [kinds, self._times_ms(times)]
        if "value" in optional:
            columns.append(map(_value, optional["value"]))
        if "event_id" in optional:
            columns[0] = [check_id("event_id", _text(value)) for value in optional["event_id"]]
        return list(map(Interaction, *columns))

    def _ids(self, name: str, values: Sequence[object]) -> list[str]:
        """Validated ids. Valid ones are cached, because a file repeats users and items."""
        ids = [value if type(value) is str else check_id(name, _text(value)) for value in values]
        for unknown in set(ids) - self._valid_ids:
            self._valid_ids.add(check_id(name, unknown))
        if len(self._valid_ids) > MAX_CACHED_IDS:
            self._valid_ids.clear()
        return ids

    def _kinds(self, values: Sequence[Any]) -> list[str]:
        kinds = [value or self._rules.default_type for value in values]
        for kind in kinds if any(type(kind) is not str for kind in kinds) else set(kinds):
            self._rules.types.code(kind)
        return kinds

    def _times_ms(self, values: Sequence[Any]) -> list[int]:
        times_ms = self._rules.in_ms(_numbers(values))
        if min(times_ms) < SMALLEST_TIME_MS or max(times_ms) > self._latest_ms:
            for value, time_ms in zip(values, times_ms, strict=True):
                if not SMALLEST_TIME_MS <= time_ms <= self._latest_ms:
                    raise InvalidEvent(self._time_problem(value, time_ms), field="time")
        return times_ms

    def _time_problem(self, value: object, time_ms: int) -> str:
        got = f"time: {shorten(value)} in the unit {self._rules.time_unit!r}"
        if time_ms < 0:
            return f"{got} is negative; wanted a time after 1973"
        if time_ms < SMALLEST_TIME_MS:
            return f"{got} is before 1973; is it a larger unit (--time-unit s)?"
        return f"{got} is in the future; is it a smaller unit (--time-unit ms or us), or a wrong clock?"

    def _name(self, events: Sequence[Interaction]) -> None:
        """Set event ids: a hash of file and content, and the ordinal among equal events."""
        digests = [
            _digest(self._key, f"{e.user_id}\x1f{e.item_id}\x1f{e.type}\x1f{e.time_ms}\x1f{e.value}") for e in events
        ]
        for event, digest, ordinal in zip(events, digests, self._ordinals.ordinals(digests), strict=True):
            event.event_id = f"f:{digest.hex()}:{ordinal}"


def _digest(key: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode(), key=key, digest_size=16).digest()


def _text(value: object) -> object:
    """Ids in JSON files may be numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _numbers(values: Sequence[Any]) -> Sequence[int | float]:
    if {str, int}.issuperset(map(type, values)):
        with suppress(ValueError):
            return list(map(int, values))
    return list(map(_number, values))


def _number(value: object) -> int | float:
    """A time as int or float."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError):
            return int(value) if not isinstance(value, float) else _finite(value)
        with suppress(ValueError):
            return _finite(float(value))
    msg = f"time: wanted a number, got {shorten(value)}"
    raise InvalidEvent(msg, field="time")


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number


def _value(value: object) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            msg = f"value: wanted a number, got {shorten(value)}; leave it empty if there is none"
            raise InvalidEvent(msg, field="value") from None
    return check_value(value)
