"""Item import: reads a file of items into the catalogue. Independent of file systems and SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput
from core.imports.event_import import BrokenImport, ImportReport, Progress
from core.imports.rows import BadLine, Chunk, DamagedFile, InputFile, RowReader
from core.items import Item, parse_item
from core.ports.store import Store
from core.records import DeadLetter

BATCH_ITEMS = 2_000  # per transaction, each one revision of the catalogue


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """The column names of an item file. `text`: joined by line breaks. `attributes`: named as their columns."""

    item_id: str = "item_id"
    title: str | None = None
    text: tuple[str, ...] = ()
    categories: str | None = None
    attributes: tuple[str, ...] = ()
    separator: str = "|"  # between the categories of one item
    names: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        named = (self.title, *self.text, self.categories, *self.attributes)
        object.__setattr__(self, "names", tuple(dict.fromkeys(name for name in named if name is not None)))


def import_items(
    source: InputFile,
    store: Store,
    *,
    columns: ItemColumns,
    now_ms: int,
    progress: Progress | None = None,
    batch_items: int = BATCH_ITEMS,
) -> ImportReport:
    """Insert or replace the items of a file; bad lines become dead letters.

    Raises `InvalidInput` if the file cannot be used at all (nothing was applied) and `BrokenImport` if it is truncated
    or damaged.
    """
    reader = RowReader(source, multiline=True)
    report = ImportReport()
    try:
        for chunk in reader.chunks((columns.item_id,), optional=columns.names, size=batch_items):
            report.num_rows += chunk.num_lines
            _apply(store, source, _items(chunk, columns), chunk, now_ms, report)
            if progress is not None:
                progress(reader.bytes_read, source.size)
    except DamagedFile as error:
        raise BrokenImport(str(error), report) from None
    return report


def read_items(
    source: InputFile,
    *,
    columns: ItemColumns,
    on_bad: Callable[[Sequence[BadLine]], None],
    batch_items: int = BATCH_ITEMS,
) -> Iterator[Item]:
    """The items of a file in its order; bad lines are reported. Raises as `import_items` does."""
    reader = RowReader(source, multiline=True)
    for chunk in reader.chunks((columns.item_id,), optional=columns.names, size=batch_items):
        yield from _items(chunk, columns)
        if chunk.bad:
            on_bad(chunk.bad)


def _apply(
    store: Store, source: InputFile, items: Sequence[Item], chunk: Chunk, now_ms: int, report: ImportReport
) -> None:
    dead_letters = [DeadLetter(source.plain_name, 0, bad.line, bad.reason, bad.raw, now_ms) for bad in chunk.bad]
    with store.transaction() as tx:
        tx.items.save(items, now_ms=now_ms)
        if dead_letters:
            tx.dead_letters.add(dead_letters)
        tx.commit()
    report.num_accepted += len(items)
    report.note_bad(chunk.bad)


def _items(chunk: Chunk, columns: ItemColumns) -> list[Item]:
    """The items of a chunk; invalid rows are added to its bad lines."""
    items: list[Item] = []
    for index, (item_id, *values) in enumerate(chunk.rows):
        try:
            by_column = dict(zip(columns.names, values, strict=True))
            items.append(parse_item(_fields(item_id, by_column, columns)))
        except InvalidInput as error:
            chunk.reject(index, str(error))
    chunk.bad.sort(key=lambda bad: bad.line)
    return items


def _fields(item_id: object, by_column: Mapping[str, Any], columns: ItemColumns) -> dict[str, object]:
    fields: dict[str, object] = {
        "item_id": str(item_id) if isinstance(item_id, int) and not isinstance(item_id, bool) else item_id,
        "text": "\n".join(str(by_column[name]) for name in columns.text if by_column[name] not in (None, "")),
        "attributes": {name: by_column[name] for name in columns.attributes if by_column[name] not in (None, "")},
    }
    if columns.title is not None:
        fields["title"] = by_column[columns.title]
    if columns.categories is not None:
        fields["categories"] = _categories(by_column[columns.categories], columns.separator)
    return fields


def _categories(value: object, separator: str) -> object:
    """Split category names; a list in JSON is used as it is."""
    if not isinstance(value, str):
        return value
    return [name.strip() for name in value.split(separator) if name.strip()]
