"""`tidewise outcomes`: what became of recommendations, by scenario, arm, model version, position or day."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from tidewise.bootstrap import open_existing
from tidewise.commands.options import Config, Data, Json, Set, print_json, print_whole, screen, settings_of

HEADINGS = ("shown", "clicks", "CTR (95%)", "bought", "rate (95%)", "revenue")
MEANS = {"answer": ("per answer (95%)",), "user": ("per answer (95%)", "users", "per user (95%)")}


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("outcomes")(outcomes)


def outcomes(
    by: Annotated[str, typer.Option(help="scenario, arm, model, position or day.")] = "scenario",
    since: Annotated[
        str | None, typer.Option(help="First day (UTC), as 2026-11-01; by default six days before the last.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Last day; by default today.")] = None,
    per: Annotated[
        str, typer.Option(help="user: count users and their revenue, too, which reads all answers; or answer.")
    ] = "answer",
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show impressions, clicks, conversions and revenue of recommendations, with 95% intervals."""
    from serving.http.periods import days_of
    from serving.routes.outcomes import grouping_of, outcomes_document, unit_of

    grouping, unit = grouping_of(by), unit_of(per)
    with open_existing(settings_of(data, config, set_)) as system:
        first, last = days_of(since, until, clock=system.clock)
        with system.store.read() as read:
            catalogue = read.items.catalogue(include_uncatalogued=system.settings.items.catalogue == "none")
        document = outcomes_document(
            system.store,
            by=grouping,
            since_day=first,
            until_day=last,
            impressions=system.settings.outcomes.impressions,
            num_listed=int(catalogue.listed.sum()),
            per=unit,
        )
    if json_:
        print_json(document)
    else:
        _print(document, unit)


def _print(document: dict[str, Any], unit: str) -> None:
    table = Table(title=f"Outcomes by {document['by']}", title_justify="left")
    table.add_column(document["by"])
    for heading in HEADINGS + MEANS[unit]:
        table.add_column(heading, justify="right")
    for row in document["rows"]:
        table.add_row(str(row["group"]) or "(default)", *_cells(row, unit))
    table.add_section()
    total = document["total"]
    table.add_row("all", *_cells(total, unit))
    print_whole(table)
    if total["answers"]:
        lists = f"{total['answers']:,} answers showed {total['items']:,} different items"
        screen.print(f"{lists} ({total['coverage'] or 0:.0%} of those listed)", markup=False, highlight=False)


def _cells(row: dict[str, Any], unit: str) -> tuple[str, ...]:
    shown = (f"{row['impressions']:,}", f"{row['clicks']:,}", _rate(row["ctr"]))
    bought = (f"{row['conversions']:,}", _rate(row["conversion_rate"]))
    revenue = (f"{row['revenue']:,.2f}", _mean(row["revenue_per_answer"]))
    if unit == "answer":
        return (*shown, *bought, *revenue)
    users = "" if row["users"] is None else f"{row['users']:,}"
    return (*shown, *bought, *revenue, users, _mean(row["revenue_per_user"]))


def _rate(rate: dict[str, float] | None) -> str:
    return "" if rate is None else f"{rate['value']:.2%} ({100 * rate['low']:.2f}-{100 * rate['high']:.2f})"


def _mean(mean: dict[str, float] | None) -> str:
    return "" if mean is None else f"{mean['value']:,.3f} ({mean['low']:,.3f}-{mean['high']:,.3f})"
