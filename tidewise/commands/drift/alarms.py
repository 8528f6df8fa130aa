"""`tidewise drift` and `tidewise monitor`: drift alarms, and the process that detects them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from core.times import minute_text
from tidewise.bootstrap import open_existing
from tidewise.commands.drift.compare import compare
from tidewise.commands.drift.report import report
from tidewise.commands.options import Config, Data, Json, Set, notes, overrides_of, print_json, screen, settings_of
from tidewise.settings.schema import load_settings

app = typer.Typer(help="List drift alarms, compare interests between periods, or write a report.")


def register(parent: typer.Typer) -> None:
    """Add the commands of this package."""
    app.callback(invoke_without_command=True)(drift)
    app.command("compare")(compare)
    app.command("report")(report)
    parent.add_typer(app, name="drift")
    parent.command("monitor")(monitor)


def drift(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of alarms.")] = 20,
    days: Annotated[int, typer.Option(min=1, help="With --json: number of days of signals.")] = 30,
    catch_up: Annotated[
        bool, typer.Option(help="First process the counts that the monitor has not processed yet.")
    ] = False,
    again: Annotated[
        bool, typer.Option(help="Reset the detectors (alarms stay) and process all counts again.")
    ] = False,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """List the alarms about changes of all users together, newest first."""
    if context.invoked_subcommand is not None:
        return
    from serving.routes.drift import drift_report
    from tidewise.processes.monitor import read_all

    with open_existing(settings_of(data, config, set_), recommends=catch_up or again) as system:
        if catch_up or again:
            read_all(system, again=again)
        document = drift_report(system.store, clock=system.clock, limit=limit, days=days)
    if json_:
        print_json(document)
    else:
        _print(document)


def monitor(data: Data = None, config: Config = None, set_: Set = None) -> None:
    """Start a drift monitor, beside workers and APIs.

    One of several monitors is active. Ctrl-C ends it.
    """
    from tidewise.processes.monitor import run_monitor

    settings = load_settings(config=config, overrides=overrides_of(data, set_))
    run_monitor(settings, on_ready=lambda: notes.print("Monitoring (Ctrl-C ends it)", markup=False, highlight=False))


def _print(document: dict[str, Any]) -> None:
    table = Table(title="Drift alarms", title_justify="left")
    for heading in ("since", "what changed", "likely cause", "state"):
        table.add_column(heading)
    for alarm in document["alarms"]:
        table.add_row(minute_text(alarm["onset"]), alarm["text"], alarm["cause"], _state(alarm))
    screen.print(table)
    progress = (
        "no counts processed yet"
        if document["monitored_through"] is None
        else f"processed through {minute_text(document['monitored_through'])} UTC"
    )
    screen.print(progress, markup=False)


def _state(alarm: dict[str, Any]) -> str:
    """Whether an alarm lasts, and what was done."""
    if alarm["status"] == "over":
        return f"over {minute_text(alarm['over'])}: {alarm['ending']}"
    response = alarm["response"]
    if response is None:
        return "open"
    done = "promoted" if response["promoted"] is not None else response["verdict"] or "not judged yet"
    return f"{alarm['status']}: {response['model_version']}, {done}"
