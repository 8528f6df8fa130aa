"""`tidewise drift compare`: interests in a period beside those of a reference period."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.events.interactions import check_id
from core.interests.mix import Mix
from core.interests.report import InterestReport
from core.times import minute_text
from storage.whole_files import check_folder, write_text
from tidewise.bootstrap import System, open_existing
from tidewise.commands.options import Config, Data, Json, Set, print_json, screen, settings_of

MAX_ROWS = 20  # the largest categories
Since = Annotated[
    str | None, typer.Option(help="Start, as 2026-11-01 or 2026-11-01T12:00 (UTC); by default a week before the end.")
]
Until = Annotated[str | None, typer.Option(help="End; by default after the newest event.")]
ReferenceSince = Annotated[
    str | None, typer.Option(help="Start of the reference; by default it is as long as the period.")
]
ReferenceUntil = Annotated[str | None, typer.Option(help="End of the reference; by default the start of the period.")]


def compare(
    since: Since = None,
    until: Until = None,
    reference_since: ReferenceSince = None,
    reference_until: ReferenceUntil = None,
    user: Annotated[str | None, typer.Option(help="Only the events of this user.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the events of each category in each time bucket to this CSV file.")
    ] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show what people were interested in, and what has changed."""
    from core.interests.table import csv_text
    from serving.schemas.interests import report_out

    if csv is not None:
        check_folder(csv)
    with open_existing(settings_of(data, config, set_)) as system:
        bounds = bounds_of(since, until, reference_since, reference_until)
        report = read_chosen(system, bounds, user=user)
    if csv is not None:
        write_text(csv, csv_text(report))
    if json_:
        print_json(report_out(report))
    else:
        _print(report, report_out(report))


def bounds_of(
    since: str | None, until: str | None, reference_since: str | None, reference_until: str | None
) -> dict[str, str]:
    """The times that were given, by the names of the API."""
    given = {"since": since, "until": until, "reference_since": reference_since, "reference_until": reference_until}
    return {name: text for name, text in given.items() if text is not None}


def read_chosen(system: System, bounds: dict[str, str], *, user: str | None = None) -> InterestReport:
    """The report of a period; raises `InvalidInput` and `NotFound`."""
    from serving.routes.interests import read_report

    return read_report(system.store, bounds, user_id=None if user is None else check_id("user", user))


def _print(report: InterestReport, document: dict[str, Any]) -> None:
    screen.print(f"{_period(report.now)}, compared with {_period(report.reference)}", highlight=False)
    for sentence in report.told:
        screen.print(sentence, markup=False, highlight=False)
    table = Table()
    for heading in ("category", "share", "reference", "points (95%)"):
        table.add_column(heading, justify="left" if heading == "category" else "right")
    for row in (*document["categories"][:MAX_ROWS], None, *(part["share"] for part in document["segments"])):
        if row is None:
            table.add_section()
        else:
            table.add_row(row["name"], f"{row['share']:.1%}", f"{row['reference']:.1%}", _points(row))
    screen.print(table)


def _period(mix: Mix) -> str:
    since, until = minute_text(mix.period.since_ms), minute_text(mix.period.until_ms)
    return f"{since} to {until} ({mix.num_events:,} events)"


def _points(row: dict[str, Any]) -> str:
    points = f"{100 * row['difference']:+.1f}"
    return points if row["low"] is None else f"{points} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
