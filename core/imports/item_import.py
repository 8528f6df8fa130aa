"""Item import: reads a file of items into the catalogue. Independent of file systems and SQL."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.catalogue.availability import AVAILABILITY_FIELDS
from core.catalogue.items import MAX_TEXT_CHARS, Item, parse_item
from core.errors import InvalidInput
from core.imports.event_import import BrokenImport, ImportReport, Progress
from core.imports.event_rows import id_text
from core.imports.known_rows import KnownRowsReport
from core.imports.rows import BadLine, Chunk, DamagedFile, RowReader, plain_name
from core.ports.store import Store
from core.records.stored import DeadLetter, StoredItem

FLAGS = {"true": True, "1": True, "false": False, "0": False}
STATED_FIELDS = ("hidden", *AVAILABILITY_FIELDS)
BATCH_ITEMS = 2_000  # per transaction, each one revision of the catalogue


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """The column names of an item file. `text`: joined by line breaks.

    `attributes`: named as their columns; a column of objects, or of JSON objects, holds several by their names.

    `stated`: the columns of `STATED_FIELDS`, which an item keeps where its row says nothing: whether it is hidden (true
    or false, 1 or 0), and its availability.
    """

    item_id: str = "item_id"
    title: str | None = None
    text: tuple[str, ...] = ()
    categories: str | None = None
    stated: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    separator: str = "|"  # between the categories of one item
    names: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        named = (self.title, *self.text, self.categories, *self.stated.values(), *self.attributes)
        object.__setattr__(self, "names", tuple(dict.fromkeys(name for name in named if name is not None)))


@dataclass(frozen=True, slots=True)
class _ItemRow:
    """The item of a row, and the fields that the row has."""

    item: Item
    fields: Mapping[str, object]


def import_items(
    reader: RowReader,
    store: Store,
    *,
    columns: ItemColumns,
    now_ms: int,
    keep_attributes: bool = False,
    progress: Progress | None = None,
    batch_items: int = BATCH_ITEMS,
) -> KnownRowsReport:
    """Insert or replace the items of a file, but for what was hidden by hand; bad lines become dead letters.

    `keep_attributes`: attributes that an item has and its row does not name stay.
    Raises `InvalidInput` if the file cannot be used at all (nothing was applied) and `BrokenImport` if it is truncated
    or damaged, or most rows are bad.
    """
    report = KnownRowsReport()
    try:
        for num_lines, items, bad in _chunks(reader, columns, batch_items, report):
            report.num_rows += num_lines
            report.check_bad(reader.name, bad, is_last=num_lines < batch_items)
            _apply(store, plain_name(reader.name), items, bad, now_ms, report, keep_attributes=keep_attributes)
            if progress is not None:
                progress(reader.bytes_read, reader.size)
    except DamagedFile as error:
        raise BrokenImport(str(error), report) from None
    return report


def read_items(
    reader: RowReader,
    *,
    columns: ItemColumns,
    on_bad: Callable[[Sequence[BadLine]], None],
    batch_items: int = BATCH_ITEMS,
) -> Iterator[Item]:
    """The items of a file in its order; bad lines are reported. Raises as `import_items` does."""
    for _, items, bad in _chunks(reader, columns, batch_items, ImportReport()):
        yield from (entry.item for entry in items)
        if bad:
            on_bad(bad)


def _apply(
    store: Store,
    name: str,
    items: Sequence[_ItemRow],
    bad: Sequence[BadLine],
    now_ms: int,
    report: KnownRowsReport,
    *,
    keep_attributes: bool,
) -> None:
    dead_letters = [DeadLetter(name, 0, line.line, line.reason, line.raw, now_ms) for line in bad]
    with store.transaction() as tx:
        tx.items.lock_revision()  # no item changes between reading and saving it
        stored = tx.items.by_id(sorted({entry.item.item_id for entry in items}))
        merged = [
            _with_stored(entry, stored.get(entry.item.item_id), keep_attributes=keep_attributes) for entry in items
        ]
        tx.items.save(merged, now_ms=now_ms)
        if dead_letters:
            tx.dead_letters.add(dead_letters)
        tx.commit()
    known = {item_id: each.item for item_id, each in stored.items() if each.in_catalogue}
    for item in merged:
        report.note_row(item, known.get(item.item_id))
        known[item.item_id] = item
    report.note_bad(bad)


def _with_stored(entry: _ItemRow, stored: StoredItem | None, *, keep_attributes: bool) -> Item:
    """What to save of a row, given the item in the catalogue."""
    if stored is None or not stored.in_catalogue:
        return entry.item
    own, known = entry.item, stored.item
    hidden = own.hidden if "hidden" in entry.fields else known.hidden
    stated = {name: value for name, value in own.availability._asdict().items() if name in entry.fields}
    attributes = {**(known.attributes if keep_attributes else {}), **own.attributes}
    return replace(own, hidden=hidden, availability=known.availability._replace(**stated), attributes=attributes)


def _chunks(
    reader: RowReader, columns: ItemColumns, size: int, report: ImportReport
) -> Iterator[tuple[int, list[_ItemRow], list[BadLine]]]:
    """The file in chunks: the number of lines, their items and the bad lines; cut texts are counted in the report."""
    for chunk in reader.chunks((columns.item_id,), optional=columns.names, size=size):
        num_lines = chunk.num_lines
        yield num_lines, _items(chunk, columns, report), chunk.bad


def _items(chunk: Chunk, columns: ItemColumns, report: ImportReport) -> list[_ItemRow]:
    """The items of a chunk; invalid rows are added to its bad lines."""
    items: list[_ItemRow] = []
    for index, (item_id, *values) in enumerate(chunk.rows):
        try:
            by_column = dict(zip(columns.names, map(_trimmed, values), strict=True))
            fields = _fields(item_id, by_column, columns)
            num_cut = _cut_texts(fields)
            items.append(_ItemRow(parse_item(fields), fields))
            report.num_cut += num_cut
        except InvalidInput as error:
            chunk.reject(index, str(error))
    chunk.bad.sort(key=lambda bad: bad.line)
    return items


def _fields(item_id: object, by_column: Mapping[str, Any], columns: ItemColumns) -> dict[str, object]:
    fields: dict[str, object] = {
        "item_id": id_text(item_id),
        "text": "\n".join(str(by_column[name]) for name in columns.text if by_column[name] not in (None, "")),
    }
    attributes: dict[str, object] = {}
    for name in columns.attributes:
        if by_column[name] not in (None, ""):
            entries = _entries(by_column[name])
            attributes |= {name: by_column[name]} if entries is None else entries
    fields["attributes"] = attributes
    if columns.title is not None:
        fields["title"] = _title(by_column[columns.title])
    if columns.categories is not None:
        fields["categories"] = _categories(by_column[columns.categories], columns.separator)
    for name, column in columns.stated.items():
        if by_column[column] not in (None, ""):
            fields[name] = _flag(by_column[column]) if name == "hidden" else _whole(by_column[column])
    return fields


def _entries(value: object) -> Mapping[str, object] | None:
    """The entries of an object of several attributes, also as JSON; None where the value is one attribute's."""
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def _flag(value: object) -> object:
    """True or false as text or number; anything else stays, and is refused with its field's name."""
    return FLAGS.get(str(value).lower(), value)


def _whole(value: object) -> object:
    """An integer as text or number ("3.0" too); anything else stays, such as an ISO time."""
    try:
        return int(str(value).removesuffix(".0"))
    except ValueError:
        return value


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _title(value: object) -> object:
    """A title may be a number: "1984"."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _cut_texts(fields: dict[str, object]) -> int:
    """Cut texts to the limit; returns how many were longer."""
    num_cut = 0
    for name in ("title", "text"):
        value = fields.get(name)
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
            fields[name] = value[:MAX_TEXT_CHARS]
            num_cut += 1
    return num_cut


def _categories(value: object, separator: str) -> object:
    """Names of categories: separated, or a list as JSON and Python write it (`['Action', 'Comedy']`)."""
    if not isinstance(value, str):
        return value
    if value.startswith("[") and value.endswith("]"):
        try:
            names = ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            names = value[1:-1].split(",")
        return [str(name).strip() for name in names if str(name).strip()]
    return [name.strip() for name in value.split(separator) if name.strip()]
