"""`tidewise import`: loads events, items and users from files into the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from core.catalogue.items import MAX_TEXT_CHARS
from core.clock import WallClock
from core.errors import InvalidInput
from core.imports.event_import import BrokenImport, ImportReport, import_history
from core.imports.event_import import Progress as ProgressCallback
from core.imports.event_rows import RowRules
from core.imports.item_import import import_items
from core.imports.known_rows import KnownRowsReport
from core.imports.rows import BadLine, RowReader
from core.imports.user_import import UserColumns, import_users
from tidewise.bootstrap import System, open_system
from tidewise.commands.files.dry_run import Preview, dry_run
from tidewise.commands.files.file_options import FORMATS_HELP, FileOptions
from tidewise.commands.operation.advice import catalogue_findings, warn
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of
from tidewise.commands.requests import command_of
from tidewise.files import check_columns, names_in, opened
from tidewise.training.text_topics import name_text_topics

SHOWN_BAD_LINES = 10


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("import")(command_of(ImportRequest, import_files))


@dataclass(frozen=True, kw_only=True)
class ImportRequest(FileOptions):
    """Load events, items and users from files into the database.

    A repeated import has no effect: known events and items are duplicates.
    """

    users: Annotated[Path | None, typer.Option(help=f"Users with attributes: {FORMATS_HELP}.", show_default=False)] = (
        None
    )
    user_id: Annotated[str, typer.Option(metavar="COLUMN", help="The users file's column of ids.")] = "user_id"
    user_attributes: Annotated[
        str | None,
        typer.Option(help="User columns to store as attributes, comma-separated (default: all).", show_default=False),
    ] = None

    events: Annotated[
        list[Path] | None, typer.Option(help=f"Events: {FORMATS_HELP}; repeat for more.", show_default=False)
    ] = None
    before: Annotated[
        str | None,
        typer.Option(help="Only events before this time: in the file's unit, or as 2022-06-24.", show_default=False),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the files hold and what does not match; store nothing.")
    ] = False
    attributes: Annotated[str, typer.Option(help="Item columns to store as attributes, comma-separated.")] = ""
    keep_attributes: Annotated[
        bool,
        typer.Option("--keep-attributes", help="Keep attributes of known items and users that the file does not name."),
    ] = False
    data: Data = None
    config: Config = None
    set_: Set = None
    json: Json = False

    @property
    def columns_of_users(self) -> UserColumns:
        """The columns of the file of users."""
        names = None if self.user_attributes is None else names_in(self.user_attributes, ",")
        return UserColumns(self.user_id, names)


def import_files(request: ImportRequest) -> None:
    """Import the items, then the users and the events, and report."""
    if not request.events and request.items is None and request.users is None:
        msg = "import: wanted --events FILE, --items FILE or --users FILE, got none"
        raise InvalidInput(msg)
    settings = settings_of(request.data, request.config, request.set_)
    if request.users is not None:
        file_format, attributes = request.format_of(request.users), request.columns_of_users.attributes or ()
        for named, option in ((), "--user-id COLUMN"), (attributes, "--user-attributes COLUMN,..."):
            check_columns(request.users, file_format, [request.user_id], named, remedy=f"name it: {option}")
    columns = request.columns_of_items(request.attributes)
    rules = {path: request.rules(settings, path) for path in request.events or ()}
    if request.dry_run:
        preview = Preview(settings)
        if request.users is not None:
            preview.show_users(request.users, request.format_of(request.users), request.columns_of_users)
        dry_run(preview, rules, request.items, columns=columns, format_of=request.format_of)
        return
    reports = Reports(silent=request.json)
    try:
        with open_system(settings, imports=True) as system:
            if request.items is not None:
                with _reading(request.items, request) as (reader, bar), reports.of("items", request.items) as take:
                    take(
                        import_items(
                            reader,
                            system.store,
                            columns=columns,
                            now_ms=_now_ms(),
                            keep_attributes=request.keep_attributes,
                            progress=bar,
                        )
                    )
                name_text_topics(system.store)  # before the events, which are counted by topic
            if request.users is not None:
                with _reading(request.users, request) as (reader, bar), reports.of("users", request.users) as take:
                    take(
                        import_users(
                            reader,
                            system.store,
                            columns=request.columns_of_users,
                            now_ms=_now_ms(),
                            keep_attributes=request.keep_attributes,
                            progress=bar,
                        )
                    )
            for path in rules:
                with _reading(path, request) as (reader, bar), reports.of("events", path) as take:
                    _import_events(
                        reader, system, rules[path], take(ImportReport()), before=request.before, progress=bar
                    )
            with system.store.read() as read:
                warn(catalogue_findings(read, settings))
    finally:
        if request.json and reports.by_kind:
            print_json(reports.document())


def _import_events(
    reader: RowReader,
    system: System,
    rules: RowRules,
    report: ImportReport,
    *,
    before: str | None,
    progress: ProgressCallback,
) -> None:
    import_history(
        reader,
        system.ingestor,
        rules=rules,
        now_ms=_now_ms(),
        store=system.store,
        before_ms=None if before is None else rules.time_of("--before", before),
        progress=progress,
        report=report,
    )


def _now_ms() -> int:
    return WallClock().now_ms()


@contextmanager
def _reading(path: Path, request: ImportRequest) -> Iterator[tuple[RowReader, ProgressCallback]]:
    """The reader of a file, and a progress bar."""
    with opened(path, request.format_of(path)) as reader, _bar(path) as progress:
        yield reader, progress


class Reports:
    """The reports of the files by kind, printed as soon as each file is done."""

    def __init__(self, *, silent: bool) -> None:
        self.by_kind: dict[str, list[tuple[Path, ImportReport]]] = {}
        self._silent = silent

    @contextmanager
    def of(self, kind: str, path: Path) -> Iterator[Callable[[ImportReport], ImportReport]]:
        """Take the report of a file, complete or to be filled; after a failure it is printed if rows were read."""
        start_s = time.perf_counter()
        taken: list[ImportReport] = []

        def take(report: ImportReport) -> ImportReport:
            taken[:] = [report]
            return report

        try:
            yield take
        except BaseException as error:
            taken[:] = [error.report] if isinstance(error, BrokenImport) else [each for each in taken if each.num_rows]
            raise
        finally:
            for report in taken:
                self.by_kind.setdefault(kind, []).append((path, report))
                if not self._silent:
                    _print_report(kind, path, report, time.perf_counter() - start_s)

    def document(self) -> dict[str, Any]:
        """For `--json`: the report of each kind, or one by file where a kind has several."""
        return {kind: _document(reports) for kind, reports in self.by_kind.items()}


def _document(reports: Sequence[tuple[Path, ImportReport]]) -> dict[str, Any]:
    documents = {str(path): _as_text(asdict(report)) for path, report in reports}
    return next(iter(documents.values())) if len(documents) == 1 else documents


def _as_text(value: Any) -> Any:
    """The value with the bytes of lines as text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return {name: _as_text(entry) for name, entry in value.items()}
    return [_as_text(entry) for entry in value] if isinstance(value, list) else value


@contextmanager
def _bar(path: Path) -> Iterator[Callable[[int, int | None], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True) as progress:
        task = progress.add_task(path.name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _print_report(kind: str, path: Path, report: ImportReport, elapsed_s: float) -> None:
    rate = report.num_rows / max(elapsed_s, 1e-9)
    num_changed = report.num_changed if isinstance(report, KnownRowsReport) else 0
    changed = f"{num_changed:,} changed, " if isinstance(report, KnownRowsReport) else ""
    remarks = f", {report.num_later:,} not before --before" if report.num_later else ""
    remarks += f", {report.num_erased:,} of erased users" if report.num_erased else ""
    remarks += f", {report.num_cut:,} texts cut to {MAX_TEXT_CHARS:,} characters" if report.num_cut else ""
    counts = f"{report.num_accepted - num_changed:,} new, {changed}"
    screen.print(
        f"{kind}: {report.num_rows:,} rows in {elapsed_s:.1f} s ({rate:,.0f}/s): {counts}"
        f"{report.num_duplicates:,} duplicates, {report.num_bad:,} bad{remarks}",
        highlight=False,
        soft_wrap=True,
    )
    if report.known_as is not None:
        screen.print(
            f"  {path.name} begins as {report.known_as}, imported before: its known rows are duplicates",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if not report.num_rows:
        screen.print(f"  {path.name} has no rows below its header", markup=False, highlight=False, soft_wrap=True)
    stored = report.num_accepted + report.num_duplicates > 0
    _print_bad(report.bad_lines[:SHOWN_BAD_LINES], more=report.num_bad - SHOWN_BAD_LINES, stored=stored)


def _print_bad(lines: Sequence[BadLine], *, more: int, stored: bool) -> None:
    for bad in lines:
        screen.print(f"  line {bad.line}: {bad.reason}", markup=False, highlight=False, soft_wrap=True)
    if more > 0:
        screen.print(f"  and {more:,} more" + (", all written to the dead letters" if stored else ""), highlight=False)
