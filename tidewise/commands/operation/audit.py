"""`tidewise audit`: who changed what by hand; and the store through which commands make such changes."""

from __future__ import annotations

from typing import Annotated

import typer

from core.access.audit import AuditedStore
from core.records.stored import AuditEntry
from core.times import second_text
from tidewise.bootstrap import System, open_existing
from tidewise.commands.options import Config, Data, Json, Set, print_json, screen, settings_of
from tidewise.process_setup import account


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("audit")(audit)


def audit(
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")] = 50,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """List changes by hand, newest first: time, who, what."""
    with open_existing(settings_of(data, config, set_)) as system, system.store.read() as read:
        entries = read.audit.page(limit=limit)
    if json_:
        print_json([entry.to_json() for entry in entries])
        return
    for entry in entries:
        screen.print(_line(entry), markup=False, highlight=False, soft_wrap=True)


def audited(system: System, action: str, target: str = "") -> AuditedStore:
    """The store for one change by a command."""
    return AuditedStore(system.store, f"command line ({account()})", action, target)


def _line(entry: AuditEntry) -> str:
    what = f"{entry.action} {entry.target}".rstrip()
    return f"{second_text(entry.time_ms)} UTC  {entry.actor}: {what}"
