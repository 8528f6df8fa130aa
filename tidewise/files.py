"""Input files of commands: opening them and parsing the options that name their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.clock import WallClock
from core.errors import InvalidInput
from core.imports.event_rows import HistoryColumns, RowRules
from core.imports.item_import import ItemColumns
from core.imports.rows import InputFile
from tidewise.settings.schema import Settings

EVENT_FIELDS = ("user", "item", "time", "type", "value", "event_id")
ITEM_FIELDS = ("item_id", "title", "text", "categories")


@contextmanager
def opened(path: Path, format_: str | None) -> Iterator[InputFile]:
    """The opened file; raises `InvalidInput` where it cannot be opened."""
    try:
        stream = path.open("rb")
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        raise InvalidInput(msg) from None
    with stream:
        yield InputFile(stream, str(path), path.stat().st_size, format_)


def event_columns(text: str) -> HistoryColumns:
    """`user,item,time[,type[,value[,event_id]]]` as column names; an empty name means no such column."""
    names = [name.strip() for name in text.split(",")]
    if not 3 <= len(names) <= len(EVENT_FIELDS) or not all(names[:3]):
        msg = f"--columns: wanted USER,ITEM,TIME[,TYPE[,VALUE[,EVENT_ID]]], got {text!r}"
        raise InvalidInput(msg)
    return HistoryColumns(**{field: name for field, name in zip(EVENT_FIELDS, names, strict=False) if name})


def row_rules(settings: Settings, columns: HistoryColumns, *, time_unit: str) -> RowRules:
    """The rules of reading an events file by the settings."""
    return RowRules(
        columns=columns,
        time_unit=time_unit,
        types=settings.event_types(),
        default_type=settings.events.default_type,
        latest_ms=WallClock().now_ms() + int(settings.events.max_future_s * 1000),
    )


def item_columns(text: str, *, attributes: str, separator: str) -> ItemColumns:
    """`item_id=COLUMN,title=COLUMN,text=COLUMN+COLUMN,categories=COLUMN` as column names."""
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
        text=_names(names.get("text", ""), "+"),
        categories=names.get("categories"),
        attributes=_names(attributes, ","),
        separator=separator,
    )


def _names(text: str, separator: str) -> tuple[str, ...]:
    names: Sequence[str] = [name.strip() for name in text.split(separator)]
    return tuple(name for name in names if name)
