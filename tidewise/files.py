"""Input files of commands: the options that describe them, their columns, and the rules of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, tzinfo
from itertools import chain, islice
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.clock import WallClock
from core.errors import InvalidInput
from core.events.interactions import LARGEST_TIME_MS, SMALLEST_TIME_MS
from core.imports.event_rows import HistoryColumns, RowRules
from core.imports.item_import import STATED_FIELDS, ItemColumns
from core.imports.rows import DamagedFile, FileFormat, MissingColumn, RowReader
from tidewise.settings.schema import Settings

EVENT_FIELDS = ("user", "item", "time", "type", "value", "event_id")
ITEM_FIELDS = ("item_id", "title", "text", "categories", *STATED_FIELDS)
PROBED_ROWS = 100  # to find the unit of the time column


def opened(path: Path, file_format: FileFormat | None = None) -> AbstractContextManager[RowReader]:
    """The reader of a file; raises `InvalidInput` where it cannot be opened."""
    from storage.files import open_rows

    return open_rows(path, file_format)


def check_columns(
    path: Path, file_format: FileFormat, required: Sequence[str], optional: Sequence[str] = (), *, remedy: str
) -> None:
    """Raise `InvalidInput` with what to do where a file lacks one of these columns, before anything is stored."""
    with opened(path, file_format) as reader, suppress(DamagedFile):  # which is told by the command that reads all
        try:
            next(reader.chunks(required, optional=optional, size=1), None)
        except MissingColumn as error:
            msg = f"{error}; {remedy}"
            raise MissingColumn(msg) from None


def event_columns(text: str) -> HistoryColumns:
    """`user,item,time[,type[,value[,event_id]]]` as column names; an empty name means no such column."""
    names = [name.strip() for name in text.split(",")]
    if not 3 <= len(names) <= len(EVENT_FIELDS) or not all(names[:3]):
        msg = f"--columns: wanted USER,ITEM,TIME[,TYPE[,VALUE[,EVENT_ID]]], got {text!r}"
        raise InvalidInput(msg)
    return HistoryColumns(**{field: name for field, name in zip(EVENT_FIELDS, names, strict=False) if name})


def row_rules(
    settings: Settings,
    columns: HistoryColumns,
    *,
    time_unit: str,
    zone: tzinfo = UTC,
    type_names: Mapping[str, str] | None = None,
) -> RowRules:
    """The rules of reading an events file by the settings."""
    return RowRules(
        columns=columns,
        time_unit=time_unit,
        types=settings.event_types(),
        default_type=settings.events.default_type,
        latest_ms=WallClock().now_ms() + int(settings.events.max_future_s * 1000),
        zone=zone,
        type_names=type_names or {},
    )


def time_zone(name: str) -> tzinfo:
    """The zone of `--time-zone`; raises `InvalidInput` where it is unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"--time-zone: unknown zone {name!r}; wanted a name as UTC or Europe/Berlin"
        raise InvalidInput(msg) from None


def type_names(text: str) -> dict[str, str]:
    """`FOREIGN=OURS,...` as a mapping of event types."""
    names: dict[str, str] = {}
    for entry in filter(None, text.split(",")):
        foreign, sign, ours = entry.partition("=")
        if not sign or not foreign.strip() or not ours.strip():
            msg = f"--types: wanted FOREIGN=OURS,..., as addtocart=cart, got {entry!r}"
            raise InvalidInput(msg)
        names[foreign.strip()] = ours.strip()
    return names


def guess_time_unit(path: Path, file_format: FileFormat, time_column: str) -> str:
    """The unit of a file's times by the size of the first number among them; "ms" where they are texts or dates."""
    with opened(path, file_format) as reader:
        chunks = reader.chunks((time_column,), size=PROBED_ROWS)
        values = islice(chain.from_iterable(chunk.rows for chunk in chunks), PROBED_ROWS)
        for (value,) in values:
            try:
                return _unit_of(float(value))
            except (TypeError, ValueError):
                continue
    return "ms"


def _unit_of(time: float) -> str:
    for unit, limit in (("s", SMALLEST_TIME_MS), ("ms", LARGEST_TIME_MS), ("us", LARGEST_TIME_MS * 1_000)):
        if time < limit:
            return unit
    return "ns"


def item_columns(text: str, *, attributes: str, separator: str) -> ItemColumns:
    """`item_id=COLUMN,title=COLUMN,text=COLUMN+COLUMN,categories=COLUMN,stock=COLUMN` as column names."""
    names: dict[str, str] = {}
    for entry in text.split(","):
        field, sign, column = entry.partition("=")
        if not sign or field.strip() not in ITEM_FIELDS or not column.strip():
            msg = f"--item-columns: wanted FIELD=COLUMN with {', '.join(ITEM_FIELDS)}, got {entry!r}"
            raise InvalidInput(msg)
        names[field.strip()] = column.strip()
    return ItemColumns(
        item_id=names.get("item_id", "item_id"),
        title=names.get("title"),
        text=names_in(names.get("text", ""), "+"),
        categories=names.get("categories"),
        stated={name: names[name] for name in STATED_FIELDS if name in names},
        attributes=names_in(attributes, ","),
        separator=separator,
    )


def names_in(text: str, separator: str) -> tuple[str, ...]:
    """The names in a list of an option, without blanks around and without empty ones."""
    names: Sequence[str] = [name.strip() for name in text.split(separator)]
    return tuple(name for name in names if name)
