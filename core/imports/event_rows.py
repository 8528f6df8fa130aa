"""Maps rows of a history file to interactions: validation, times, and foreign names of event types.

Independent of files, formats and ingest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from itertools import repeat
from typing import Any

from core.errors import InvalidEvent, InvalidInput, InvalidSettings
from core.events.interactions import (
    LARGEST_TIME_MS,
    SMALLEST_TIME_MS,
    EventTypes,
    Interaction,
    check_id,
    check_value,
    shorten,
)
from core.imports.rows import Chunk
from core.times import MS_PER_UNIT, in_ms, iso_ms, moment_ms

MAX_CACHED_IDS = 200_000


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


def check_time_unit(unit: str) -> None:
    """Raise `InvalidSettings` for an unknown unit."""
    if unit not in MS_PER_UNIT:
        msg = f"--time-unit: wanted one of {', '.join(MS_PER_UNIT)}, got {shorten(unit)}"
        raise InvalidSettings(msg)


@dataclass(frozen=True, slots=True)
class RowRules:
    """How rows are mapped.

    `default_type`: of events without a type. `latest_ms`: later times are in the future. `zone`: of times without an
    offset. `type_names`: foreign event type -> ours.
    """

    columns: HistoryColumns
    time_unit: str
    types: EventTypes
    default_type: str
    latest_ms: int
    zone: tzinfo = UTC
    type_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_time_unit(self.time_unit)
        for kind in (self.default_type, *self.type_names.values()):
            self.types.code(kind)

    def in_ms(self, times: Iterable[float]) -> list[int]:
        """Convert times from the file's unit to milliseconds."""
        factor, divisor = MS_PER_UNIT[self.time_unit]
        return [int(time * factor) // divisor for time in times]

    def time_ms(self, value: object) -> int:
        """A number in the file's unit, a date and time, or an ISO 8601 text, as milliseconds."""
        if isinstance(value, date):
            return moment_ms(value, self.zone)
        if isinstance(value, str):
            time_ms = iso_ms(value.strip(), self.zone)
            if time_ms is not None:
                return time_ms
        return in_ms(_number(value), self.time_unit)

    def time_of(self, option: str, text: str) -> int:
        """The time given by an option, in milliseconds; raises `InvalidInput` that names the option."""
        try:
            return self.time_ms(text)
        except InvalidEvent as error:
            raise InvalidInput(str(error).replace("time:", f"{option}:", 1)) from None


class RowMapper:
    """Maps rows to interactions; invalid rows are added to the bad lines of their chunk."""

    def __init__(self, rules: RowRules) -> None:
        self._optional = tuple(rules.columns.optional())
        self._rules = rules
        self._latest_ms = min(rules.latest_ms, LARGEST_TIME_MS)
        self._valid_ids: set[str] = set()

    def events(self, chunk: Chunk) -> list[Interaction]:
        """The interactions of a chunk, in the order of the file; without a column of event ids, their ids are empty."""
        try:
            return self._mapped(chunk.rows)
        except InvalidInput:
            return self._one_by_one(chunk)

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
            columns[0] = [check_id("event_id", id_text(value)) for value in optional["event_id"]]
        return list(map(Interaction, *columns))

    def _ids(self, name: str, values: Sequence[Any]) -> list[str]:
        """Validated ids, without blanks around. Valid ones are cached, because a file repeats users and items."""
        try:
            ids = list(map(str.strip, values))
        except TypeError:
            ids = [check_id(name, id_text(self._plain(name, value))) for value in values]
        for unknown in set(ids) - self._valid_ids:
            self._valid_ids.add(check_id(name, unknown))
        if len(self._valid_ids) > MAX_CACHED_IDS:
            self._valid_ids.clear()
        return ids

    def _plain(self, name: str, value: object) -> object:
        """Not a map: an id may be one of its values."""
        if not isinstance(value, dict):
            return value
        column = {"user": self._rules.columns.user, "item": self._rules.columns.item}[name]
        inside = next((f"{column}.{key}" for key in value), f"{column}.id")
        msg = f"{name}: wanted a string, got {shorten(value)}; name the value in it (--columns with {inside})"
        raise InvalidEvent(msg, field=name)

    def _kinds(self, values: Sequence[Any]) -> list[str]:
        if all(type(value) is str for value in values):
            ours = {value: self._kind(value) for value in set(values)}
            return [ours[value] for value in values]
        return [self._kind(value) for value in values]

    def _kind(self, value: Any) -> str:
        kind = (value.strip() if isinstance(value, str) else value) or self._rules.default_type
        if isinstance(kind, str):
            kind = self._rules.type_names.get(kind, kind)
        try:
            self._rules.types.code(kind)
        except InvalidEvent as error:
            msg = f"{error}; map it (--types {kind}=click)"
            raise InvalidEvent(msg, field="type") from None
        return str(kind)

    def _times_ms(self, values: Sequence[Any]) -> list[int]:
        times_ms = self._in_ms(values)
        if min(times_ms) < SMALLEST_TIME_MS or max(times_ms) > self._latest_ms:
            for value, time_ms in zip(values, times_ms, strict=True):
                if not SMALLEST_TIME_MS <= time_ms <= self._latest_ms:
                    raise InvalidEvent(self._time_problem(value, time_ms), field="time")
        return times_ms

    def _in_ms(self, values: Sequence[Any]) -> list[int]:
        """Integers at once, where all are; other times one by one."""
        if {str, int}.issuperset(map(type, values)):
            with suppress(ValueError):
                return self._rules.in_ms(map(int, values))
        return [self._rules.time_ms(value) for value in values]

    def _time_problem(self, value: object, time_ms: int) -> str:
        got = f"time: {shorten(value)} in the unit {self._rules.time_unit!r}"
        if time_ms < 0:
            return f"{got} is negative; wanted a time after 1973"
        if time_ms < SMALLEST_TIME_MS:
            return f"{got} is before 1973; is it a larger unit (--time-unit s)?"
        return f"{got} is in the future; is it a smaller unit (--time-unit ms, us or ns), or a wrong clock?"


def id_text(value: object) -> object:
    """An id without blanks around; ids in JSON and Parquet files may be numbers."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: object) -> int | float:
    """A time as int or float."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError):
            return int(value) if not isinstance(value, float) else _finite(value)
        with suppress(ValueError):
            return _finite(float(value))
    msg = f"time: wanted a number or a time as 2022-06-24T21:20:11Z, got {shorten(value)}"
    raise InvalidEvent(msg, field="time")


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number


def _value(value: object) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            msg = f"value: wanted a number, got {shorten(value)}; leave it empty if there is none"
            raise InvalidEvent(msg, field="value") from None
    return check_value(value)
