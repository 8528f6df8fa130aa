"""`tidewise segments`: named groups of users by their attributes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from core.definitions.kinds import SEGMENT, delete_definition
from core.users.segments import save_segment
from tidewise.bootstrap import open_existing
from tidewise.commands.definitions import print_change, read_definition
from tidewise.commands.operation.audit import audited
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of
from tidewise.process_setup import account

app = typer.Typer(no_args_is_help=True, help="List, store or delete segments of users.")

Name = Annotated[str, typer.Argument(help="The segment's name, such as premium.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_)
    app.command("put")(put)
    app.command("delete")(delete)
    parent.add_typer(app, name="segments")


def list_(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """List the segments with their conditions, by name."""
    with open_existing(settings_of(data, config, set_)) as system:
        system.segments.follow()
        definitions = {name: dict(named.definition) for name, named in system.segments.all().items()}
    if json_:
        print_json(definitions)
        return
    for name, definition in definitions.items():
        where = json.dumps(definition["where"], ensure_ascii=False)
        screen.print(f"{name:<20}  {where}  {definition.get('description', '')}".rstrip(), markup=False, soft_wrap=True)
    if not definitions:
        notes.print("No segments yet; `tidewise segments put NAME FILE` stores one.")


def put(
    name: Name,
    file: Annotated[Path, typer.Argument(help='A file as {"where": {"plan": "premium"}}, .json or .toml; - is stdin.')],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Store a segment.

    Every running process follows it at once.
    """
    definition = read_definition(file)
    with open_existing(settings_of(data, config, set_)) as system:
        print_change(save_segment(audited(system, "store segment", name), name, definition, author=account()), json_)


def delete(name: Name, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Delete a segment; filters that name it hold for no user."""
    with open_existing(settings_of(data, config, set_)) as system:
        store = audited(system, "delete segment", name)
        print_change(delete_definition(store, SEGMENT, name, author=account()), json_)
