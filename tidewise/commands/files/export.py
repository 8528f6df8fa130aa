"""`tidewise export`: writes events, items, users and outcomes of the database to files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.export import (
    EVENT_FIELDS,
    ITEM_FIELDS,
    OUTCOME_FIELDS,
    USER_FIELDS,
    export_events,
    export_items,
    export_outcomes,
    export_users,
)
from tidewise.bootstrap import open_existing
from tidewise.commands.files.presets import OWN
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of

FORMATS_HELP = "Parquet (.parquet) or JSON lines (.jsonl, .jsonl.gz)"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("export")(export)


def export(
    events: Annotated[Path | None, typer.Option(help=f"Write the events: {FORMATS_HELP}.", show_default=False)] = None,
    items: Annotated[Path | None, typer.Option(help="Write the catalogue.", show_default=False)] = None,
    users: Annotated[
        Path | None, typer.Option(help="Write the users with the items of their window.", show_default=False)
    ] = None,
    outcomes: Annotated[
        Path | None, typer.Option(help="Write the events that are attributed to answers.", show_default=False)
    ] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Write events, items, users and outcomes of the database to files, as of one moment."""
    from storage.files.writing import check_writable, write_records

    paths = {"events": events, "items": items, "users": users, "outcomes": outcomes}
    named = {kind: path for kind, path in paths.items() if path is not None}
    if not named:
        msg = "export: wanted --events FILE, --items FILE, --users FILE or --outcomes FILE, got none"
        raise InvalidInput(msg)
    for path in named.values():
        check_writable(path)
    counts: dict[str, int] = {}
    with open_existing(settings_of(data, config, set_)) as system, system.store.read() as read:
        sources = {
            "events": (export_events(read, system.types), EVENT_FIELDS),
            "items": (export_items(read), ITEM_FIELDS),
            "users": (export_users(read), USER_FIELDS),
            "outcomes": (export_outcomes(read, system.types), OUTCOME_FIELDS),
        }
        for kind, path in named.items():
            counts[kind] = write_records(path, *sources[kind])
    if json_:
        print_json(counts)
        return
    for kind, num_records in counts.items():
        screen.print(f"{kind}: {num_records:,} written to {named[kind]}", markup=False, highlight=False)
    importable = " ".join(f"--{kind} {shlex.quote(str(path))}" for kind, path in named.items() if kind != "outcomes")
    if importable:
        notes.print(f"To load them: tidewise import --preset {OWN} {importable}", markup=False, soft_wrap=True)
