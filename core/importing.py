"""History import: the rows of a file become interactions, applied through the same ingest as everything else.

Safe to run twice, and on a file that was recompressed or appended to: an event without an id of its own is named by a
hash of the file's name, its content and its ordinal among equal rows, so that what is known counts once and true
repeats survive. Knows nothing about file systems or SQL.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidEvent, InvalidInput, InvalidSettings
from core.ingest import Ingestor, RequestSource, Status
from core.interactions import (
    LARGEST_TIME_MS,
    SMALLEST_TIME_MS,
    EventTypes,
    Interaction,
    check_id,
    check_value,
    shorten,
)
from core.ports import DeadLetter
from core.repeats import Repeats
from core.rowfiles import BadLine, Chunk, DamagedFile, InputFile, RowReader

BATCH_ROWS = 20_000  # per transaction: other writers wait for about half a second
MAX_BAD_SHOWN = 20
MAX_IDS_REMEMBERED = 200_000
WRITER = "import"
MS_PER_UNIT = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000)}

Progress = Callable[[int, int | None], None]  # bytes read, bytes in all where known


@dataclass(frozen=True, slots=True)
class HistoryColumns:
    """Which column of the file holds what; those without a name are left out."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "time"
    type: str | None = None
    value: str | None = None
    event_id: str | None = None

    def optional(self) -> dict[str, str]:
        """The optional fields that have a column."""
        named = {"type": self.type, "value": self.value, "event_id": self.event_id}
        return {name: column for name, column in named.items() if column is not None}


@dataclass(slots=True)
class ImportReport:
    """What became of a file. `bad_lines`: the first few; all are kept as dead letters."""

    num_rows: int = 0
    num_accepted: int = 0
    num_duplicates: int = 0
    num_erased: int = 0
    num_later: int = 0  # not applied, because their time is not before `before_ms`
    num_bad: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)

    def note_bad(self, bad: Sequence[BadLine]) -> None:
        """Count bad lines and keep the first few."""
        self.num_bad += len(bad)
        self.bad_lines += bad[: MAX_BAD_SHOWN - len(self.bad_lines)]


class BrokenImport(InvalidInput):
    """The file broke off: what could be read was applied. `report` says how much."""

    def __init__(self, message: str, report: Any) -> None:
        super().__init__(message)
        self.report = report


def import_history(
    source: InputFile,
    ingestor: Ingestor,
    *,
    columns: HistoryColumns,
    time_unit: str,
    types: EventTypes,
    default_type: str,
    now_ms: int,
    max_future_ms: int,
    before_ms: int | None = None,
    progress: Progress | None = None,
    batch_rows: int = BATCH_ROWS,
) -> ImportReport:
    """Apply all rows of a file (with time < `before_ms`), in their order; bad lines are kept aside as dead letters.

    Raises `InvalidInput` where the file as a whole cannot be used (nothing was applied) and `BrokenImport` where it
    breaks off.
    """
    mapper = RowMapper(
        source.plain_name,
        columns=columns,
        time_unit=time_unit,
        types=types,
        default_type=default_type,
        latest_ms=now_ms + max_future_ms,
    )
    reader = RowReader(source)
    report = ImportReport()
    required = (columns.user, columns.item, columns.time)
    try:
        for chunk in reader.chunks(required, optional=tuple(columns.optional().values()), size=batch_rows):
            report.num_rows += chunk.num_lines
            events = mapper.events(chunk)
            if before_ms is not None:
                num_all, events = len(events), [event for event in events if event.time_ms < before_ms]
                report.num_later += num_all - len(events)
            _apply(ingestor, source, events, chunk.bad, now_ms, report)
            if progress is not None:
                progress(reader.bytes_read, source.size)
    except DamagedFile as error:
        raise BrokenImport(str(error), report) from None
    return report


def _apply(
    ingestor: Ingestor,
    source: InputFile,
    events: Sequence[Interaction],
    bad: Sequence[BadLine],
    now_ms: int,
    report: ImportReport,
) -> None:
    name = source.plain_name
    letters = [DeadLetter(name, 0, line.line, line.reason, line.raw, now_ms) for line in bad]
    result = ingestor.ingest(events, RequestSource(WRITER), dead_letters=letters)
    report.num_accepted += result.statuses.count(Status.ACCEPTED)
    report.num_duplicates += result.statuses.count(Status.DUPLICATE)
    report.num_erased += result.statuses.count(Status.ERASED)
    report.note_bad(bad)


class RowMapper:
    """Turns rows into interactions; what cannot be one joins the bad lines of its chunk."""

    def __init__(
        self,
        source_name: str,
        *,
        columns: HistoryColumns,
        time_unit: str,
        types: EventTypes,
        default_type: str,
        latest_ms: int,
    ) -> None:
        if time_unit not in MS_PER_UNIT:
            msg = f"time unit: wanted one of {', '.join(MS_PER_UNIT)}, got {shorten(time_unit)}"
            raise InvalidSettings(msg)
        types.code(default_type)
        self._key = hashlib.blake2b(source_name.encode(errors="surrogateescape")).digest()
        self._places = {name: 3 + place for place, name in enumerate(columns.optional())}
        self._unit = time_unit
        self._factor, self._divisor = MS_PER_UNIT[time_unit]
        self._types = types
        self._default_type = default_type
        self._latest_ms = min(latest_ms, LARGEST_TIME_MS)
        self._good_ids: set[str] = set()
        self._repeats = Repeats()

    def events(self, chunk: Chunk) -> list[Interaction]:
        """The interactions of a chunk, in the order of the file."""
        events: list[Interaction] = []
        for place, row in enumerate(chunk.rows):
            try:
                events.append(self._event(row))
            except InvalidInput as error:
                chunk.reject(place, str(error))
        chunk.bad.sort(key=lambda bad: bad.line)
        if "event_id" not in self._places:
            self._name(events)
        return events

    def _event(self, row: list[Any]) -> Interaction:
        user, item = row[0], row[1]
        if type(user) is not str or user not in self._good_ids:
            user = self._id("user", user)
        if type(item) is not str or item not in self._good_ids:
            item = self._id("item", item)
        time_ms = self._time_ms(row[2])
        if not self._places:
            return Interaction("", user, item, self._default_type, time_ms)
        optional = {name: row[place] for name, place in self._places.items()}
        kind = optional.get("type") or self._default_type
        self._types.code(kind)
        value = _value(optional.get("value"))
        event_id = check_id("event_id", _text(optional["event_id"])) if "event_id" in optional else ""
        return Interaction(event_id, user, item, kind, time_ms, value)

    def _id(self, name: str, value: object) -> str:
        """A checked id; remembered, because a file names the same users and items again and again."""
        checked = check_id(name, _text(value))
        if len(self._good_ids) >= MAX_IDS_REMEMBERED:
            self._good_ids.clear()
        self._good_ids.add(checked)
        return checked

    def _time_ms(self, value: Any) -> int:
        try:
            time = int(value) if type(value) in (str, int) else _fraction(value)
        except ValueError:
            time = _fraction(value)
        time_ms = int(time * self._factor // self._divisor)
        if not SMALLEST_TIME_MS <= time_ms <= self._latest_ms:
            raise InvalidEvent(self._time_problem(value, time_ms))
        return time_ms

    def _time_problem(self, value: object, time_ms: int) -> str:
        got = f"time: {shorten(value)} in the unit {self._unit!r}"
        if time_ms < 0:
            return f"{got} is negative; wanted a time after 1973"
        if time_ms < SMALLEST_TIME_MS:
            return f"{got} is before 1973; is it a larger unit (--time-unit s)?"
        return f"{got} is in the future; is it a smaller unit (--time-unit ms or us), or a wrong clock?"

    def _name(self, events: Sequence[Interaction]) -> None:
        """Give each event an id: file, content, and ordinal among events of the same content."""
        digests = [
            _digest(self._key, f"{e.user_id}\x1f{e.item_id}\x1f{e.type}\x1f{e.time_ms}\x1f{e.value}") for e in events
        ]
        for event, digest, ordinal in zip(events, digests, self._repeats.ordinals(digests), strict=True):
            event.event_id = f"f:{digest.hex()}:{ordinal}"


def _digest(key: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode(), key=key, digest_size=16).digest()


def _text(value: object) -> object:
    """JSON files may hold ids as numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fraction(value: object) -> float:
    """A time that is no whole number."""
    if isinstance(value, str | float):
        with suppress(ValueError):
            if math.isfinite(time := float(value)):
                return time
    msg = f"time: wanted a number, got {shorten(value)}"
    raise InvalidEvent(msg)


def _value(value: object) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            msg = f"value: wanted a number, got {shorten(value)}; leave it empty if there is none"
            raise InvalidEvent(msg) from None
    return check_value(value)
