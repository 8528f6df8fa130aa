"""`tidewise import --dry-run`: what was detected in files, and what an import would store; nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from core.catalogue.items import Item
from core.events.interactions import Interaction
from core.imports.event_import import read_history
from core.imports.event_rows import RowRules
from core.imports.item_import import ItemColumns, read_items
from core.imports.rows import BadLine, FileFormat, RowReader
from core.imports.user_import import UserColumns, read_users
from core.times import second_text
from tidewise.bootstrap import open_existing
from tidewise.commands.options import screen
from tidewise.files import opened
from tidewise.settings.schema import Settings

SHOWN_ROWS = 10
SHOWN_BAD_LINES = 10
SHOWN_ITEMS = 3
MAX_CELL_CHARS = 40


@dataclass
class Preview:
    """The contents of files as an import would store them."""

    settings: Settings
    num_events: int = 0
    item_ids: set[str] = field(default_factory=set)
    catalogue: set[str] = field(default_factory=set)

    def show_items(self, path: Path, file_format: FileFormat, columns: ItemColumns) -> None:
        """Read a file of items and show what is in it."""
        bad: list[BadLine] = []
        with opened(path, file_format) as reader:
            _print_detected(reader)
            first = list[Item]()
            for item in read_items(reader, columns=columns, on_bad=bad.extend):
                first += [item] if len(first) < SHOWN_ROWS else []
                self.catalogue.add(item.item_id)
        rows = ((item.item_id, item.title, item.text, ", ".join(item.categories), item.attributes) for item in first)
        _print_table(("item", "title", "text", "categories", "attributes"), rows)
        _print_bad(f"{len(self.catalogue):,} items", bad)

    def show_users(self, path: Path, file_format: FileFormat, columns: UserColumns) -> None:
        """Read a file of users and show what is in it."""
        bad: list[BadLine] = []
        with opened(path, file_format) as reader:
            _print_detected(reader)
            users = list(read_users(reader, columns=columns, on_bad=bad.extend))
        _print_table(("user", "attributes"), users[:SHOWN_ROWS])
        _print_bad(f"{len(users):,} users", bad)

    def show_events(self, path: Path, file_format: FileFormat, rules: RowRules) -> None:
        """Read a file of events and show what is in it; raises `InvalidInput` where most rows are bad."""
        bad: list[BadLine] = []
        num_before = self.num_events
        with opened(path, file_format) as reader:
            _print_detected(reader, f"numeric times in {rules.time_unit}")
            events = self._counted(read_history(reader, rules=rules, on_bad=bad.extend))
            first = [event for _, event in zip(range(SHOWN_ROWS), events, strict=False)]
            rows = ((e.user_id, e.item_id, e.type, second_text(e.time_ms), e.value) for e in first)
            _print_table(("user", "item", "type", "time (UTC)", "value"), rows)
            for _ in events:
                pass
        _print_bad(f"{self.num_events - num_before:,} events", bad)

    def show_uncatalogued(self) -> None:
        """Show which items of the events are in no catalogue: neither in the file of items nor in the database."""
        if self.settings.has_database():
            with open_existing(self.settings) as system, system.store.read() as read:
                known = read.items.catalogue()
            self.catalogue |= {known.item_ids[row] for row in known.listed.nonzero()[0].tolist()}
        missing = sorted(self.item_ids - self.catalogue)
        if missing:
            _say(
                f"{len(missing):,} of {len(self.item_ids):,} items of the events are not in the catalogue, "
                f"such as {', '.join(missing[:SHOWN_ITEMS])}; they are not recommended"
            )

    def _counted(self, events: Iterable[Interaction]) -> Iterator[Interaction]:
        for event in events:
            self.num_events += 1
            self.item_ids.add(event.item_id)
            yield event


def dry_run(
    preview: Preview,
    events: Mapping[Path, RowRules],
    items: Path | None,
    *,
    columns: ItemColumns,
    format_of: Callable[[Path], FileFormat],
) -> None:
    """Show what the files hold and what does not match."""
    if items is not None:
        preview.show_items(items, format_of(items), columns)
    for path, rules in events.items():
        preview.show_events(path, format_of(path), rules)
    preview.show_uncatalogued()
    _say("Dry run: nothing was stored.")


def _print_detected(reader: RowReader, *more: str) -> None:
    _say("; ".join([f"{Path(reader.name).name}: {reader.description}", f"columns {', '.join(reader.columns)}", *more]))


def _print_table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    table = Table(*headings, box=None)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    screen.print(table)


def _cell(value: object) -> str:
    text = "" if value is None or value == {} else str(value)
    return text if len(text) <= MAX_CELL_CHARS else text[: MAX_CELL_CHARS - 3] + "..."


def _print_bad(counted: str, bad: list[BadLine]) -> None:
    _say(f"{counted}, {len(bad):,} bad")
    for line in bad[:SHOWN_BAD_LINES]:
        _say(f"  line {line.line}: {line.reason}")


def _say(text: str) -> None:
    screen.print(text, markup=False, highlight=False, soft_wrap=True)
