"""`tidewise import`: loads events and items from files into the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from core.clock import WallClock
from core.errors import InvalidInput
from core.imports.event_import import BrokenImport, ImportReport, import_history
from core.imports.item_import import import_items
from core.imports.rows import BadLine
from tidewise.bootstrap import open_system
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of
from tidewise.files import event_columns, item_columns, opened, row_rules
from tidewise.training.text_topics import name_text_topics

SHOWN_BAD_LINES = 10

Columns = Annotated[
    str,
    typer.Option(metavar="USER,ITEM,TIME[,TYPE[,VALUE[,EVENT_ID]]]", help="Names of the file's columns, in order."),
]
ItemColumnNames = Annotated[
    str, typer.Option("--item-columns", metavar="FIELD=COLUMN,...", help="Columns of item_id, title, text, categories.")
]
TimeUnit = Annotated[str, typer.Option(help="Unit of the time column: s, ms or us.")]
Format = Annotated[
    str | None, typer.Option("--format", help="csv, tsv or jsonl (default: by the file's name).", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("import")(import_)


def import_(
    events: Annotated[Path | None, typer.Option(help="Events: CSV, TSV or JSON lines, also gzipped.")] = None,
    columns: Columns = "user_id,item_id,time",
    time_unit: TimeUnit = "ms",
    before: Annotated[
        int | None, typer.Option(help="Only events before this time, in the file's unit.", show_default=False)
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Catalogue items: CSV, TSV or JSON lines, also gzipped.")] = None,
    columns_of_items: ItemColumnNames = "item_id=item_id,title=title",
    separator: Annotated[str, typer.Option(help="Separator of an item's categories.")] = "|",
    attributes: Annotated[str, typer.Option(help="Item columns to store as attributes, comma-separated.")] = "",
    format_: Format = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Load events and items from files into the database.

    A repeated import has no effect: known events and items are duplicates.
    """
    if events is None and items is None:
        msg = "import: wanted --events FILE, --items FILE or both, got neither"
        raise InvalidInput(msg)
    read_items = item_columns(columns_of_items, attributes=attributes, separator=separator)
    settings = settings_of(data, config, set_)
    rules = row_rules(settings, event_columns(columns), time_unit=time_unit)
    now_ms, before_ms = WallClock().now_ms(), None if before is None else rules.in_ms([before])[0]
    reports: dict[str, ImportReport] = {}
    with open_system(settings) as system:
        if items is not None:
            with opened(items, format_) as source, _bar(items) as progress, _reporting(reports, "items", json_):
                reports["items"] = import_items(
                    source, system.store, columns=read_items, now_ms=now_ms, progress=progress
                )
            name_text_topics(system.store)  # before the events, which are counted by topic
        if events is not None:
            with opened(events, format_) as source, _bar(events) as progress, _reporting(reports, "events", json_):
                reports["events"] = import_history(
                    source, system.ingestor, rules=rules, now_ms=now_ms, before_ms=before_ms, progress=progress
                )
    if json_:
        print_json({name: asdict(report) for name, report in reports.items()})


@contextmanager
def _bar(path: Path) -> Iterator[Callable[[int, int | None], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True) as progress:
        task = progress.add_task(path.name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def _reporting(reports: dict[str, ImportReport], kind: str, silent: bool) -> Iterator[None]:
    """Print the report of a file, also after a failure."""
    start_s = time.perf_counter()
    try:
        yield
    except BrokenImport as error:
        reports[kind] = error.report
        raise
    finally:
        if kind in reports and not silent:
            _print_report(kind, reports[kind], time.perf_counter() - start_s)


def _print_report(kind: str, report: ImportReport, elapsed_s: float) -> None:
    rate = report.num_rows / max(elapsed_s, 1e-9)
    screen.print(
        f"{kind}: {report.num_rows:,} rows in {elapsed_s:.1f} s ({rate:,.0f}/s): {report.num_accepted:,} new, "
        f"{report.num_duplicates:,} duplicates, {report.num_bad:,} bad",
        highlight=False,
    )
    _print_bad(report.bad_lines[:SHOWN_BAD_LINES], more=report.num_bad - SHOWN_BAD_LINES)


def _print_bad(lines: Sequence[BadLine], *, more: int) -> None:
    for bad in lines:
        screen.print(f"  line {bad.line}: {bad.reason}", markup=False, highlight=False)
    if more > 0:
        screen.print(f"  and {more:,} more, all written to the dead letters", highlight=False)
