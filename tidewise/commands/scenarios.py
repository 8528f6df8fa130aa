"""`tidewise scenarios`: named configurations of answers, their revisions, and taking a change back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.definitions.followed import NamedDefinition
from core.definitions.kinds import SCENARIO, delete_definition
from core.scenarios.definition import parse_scenario
from core.scenarios.manage import MAX_REVISIONS, revert_scenario, save_scenario
from core.scenarios.scenario import Scenario
from tidewise.bootstrap import open_existing
from tidewise.commands.definitions import change_line, print_change, read_definition
from tidewise.commands.operation.audit import audited
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of
from tidewise.process_setup import account

app = typer.Typer(no_args_is_help=True, help="List, show, store, delete or revert scenarios.")

Name = Annotated[str, typer.Argument(help="The scenario's name, such as homepage.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_)
    app.command("show")(show)
    app.command("put")(put)
    app.command("delete")(delete)
    app.command("revert")(revert)
    parent.add_typer(app, name="scenarios")


def list_(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """List the scenarios that serve, by name."""
    with open_existing(settings_of(data, config, set_)) as system:
        system.scenarios.follow()
        scenarios = system.scenarios.all()
    if json_:
        print_json({name: _entry(named) for name, named in scenarios.items()})
        return
    for name, named in scenarios.items():
        line = f"{name:<20}  {_origin(named):<45}  {named.definition.get('description', '')}"
        screen.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)
    if not scenarios:
        notes.print("No scenarios yet; `tidewise scenarios put NAME FILE` stores one.")


def show(name: Name, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Show the definition of a scenario, and its revisions."""
    with open_existing(settings_of(data, config, set_)) as system:
        system.scenarios.follow()
        named = system.scenarios.all().get(name)
        with system.store.read() as read:
            changes = read.scenarios.history(name, limit=MAX_REVISIONS)
    if named is None and not changes:
        raise SCENARIO.not_stored(name)
    if json_:
        from serving.schemas.definitions import revision_out

        revisions = [revision_out(change) for change in changes]
        print_json({"definition": named and named.definition, "revisions": revisions})
        return
    if named is not None:
        screen.print(json.dumps(named.definition, indent=2, ensure_ascii=False), markup=False, highlight=False)
    for change in changes:
        screen.print(change_line(change), markup=False, highlight=False, soft_wrap=True)


def put(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A file with the definition, .json or .toml; - reads JSON from stdin.")],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Store a scenario.

    Every running process serves it at once.
    """
    definition = read_definition(file)
    with open_existing(settings_of(data, config, set_)) as system:
        system.segments.follow()
        system.segments.check(*parse_scenario(definition).filters)
        print_change(save_scenario(audited(system, "store scenario", name), name, definition, author=account()), json_)


def delete(name: Name, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Delete a stored scenario; one of the settings with its name serves again."""
    with open_existing(settings_of(data, config, set_)) as system:
        store = audited(system, "delete scenario", name)
        print_change(delete_definition(store, SCENARIO, name, author=account()), json_)


def revert(
    name: Name,
    revision: Annotated[int, typer.Argument(help="A revision, as `tidewise scenarios show` lists it.")],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Take a scenario back to an older revision."""
    with open_existing(settings_of(data, config, set_)) as system:
        store = audited(system, "revert scenario", name)
        print_change(revert_scenario(store, name, revision, author=account()), json_)


def _entry(named: NamedDefinition[Scenario]) -> dict[str, Any]:
    return {"definition": named.definition, "revision": named.stored and named.stored.revision}


def _origin(named: NamedDefinition[Scenario]) -> str:
    return "settings" if named.stored is None else change_line(named.stored)
