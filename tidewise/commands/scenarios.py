"""`tidewise scenarios`: named configurations of answers, their revisions, and taking a change back."""

from __future__ import annotations

import json
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import InvalidInput
from core.records import ScenarioRevision
from core.scenarios.current import NamedScenario
from core.scenarios.manage import MAX_REVISIONS, delete_scenario, not_stored, revert_scenario, save_scenario
from tidewise.bootstrap import open_existing
from tidewise.commands.audit import account, audited
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of

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
        raise not_stored(name)
    if json_:
        print_json({"definition": named and named.definition, "revisions": [_change(change) for change in changes]})
        return
    if named is not None:
        screen.print(json.dumps(named.definition, indent=2, ensure_ascii=False), markup=False, highlight=False)
    for change in changes:
        screen.print(_line(change), markup=False, highlight=False, soft_wrap=True)


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
    definition = _definition(file)
    with open_existing(settings_of(data, config, set_)) as system:
        _print(save_scenario(audited(system, "store scenario", name), name, definition, author=account()), json_)


def delete(name: Name, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Delete a stored scenario; one of the settings with its name serves again."""
    with open_existing(settings_of(data, config, set_)) as system:
        _print(delete_scenario(audited(system, "delete scenario", name), name, author=account()), json_)


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
        _print(revert_scenario(audited(system, "revert scenario", name), name, revision, author=account()), json_)


def _definition(file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        definition = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        msg = f"{file}: wanted a readable definition in JSON or TOML, got: {error}"
        raise InvalidInput(msg) from None
    if not isinstance(definition, dict):
        msg = f"{file}: wanted an object with the fields of a scenario; docs/scenarios.md lists them"
        raise InvalidInput(msg)
    return definition


def _print(change: ScenarioRevision, json_: bool) -> None:
    if json_:
        print_json(_change(change))
    else:
        screen.print(_line(change), markup=False, highlight=False, soft_wrap=True)


def _change(change: ScenarioRevision) -> dict[str, Any]:
    return {
        "revision": change.revision,
        "author": change.author,
        "time": change.time_ms,
        "definition": change.definition,
    }


def _entry(named: NamedScenario) -> dict[str, Any]:
    return {"definition": named.definition, "revision": named.stored and named.stored.revision}


def _origin(named: NamedScenario) -> str:
    return "settings" if named.stored is None else _line(named.stored)


def _line(change: ScenarioRevision) -> str:
    what = "deleted" if change.definition is None else "stored"
    time = datetime.fromtimestamp(change.time_ms / 1000, UTC)
    return f"revision {change.revision}  {what} {time:%Y-%m-%d %H:%M:%S}, by {change.author}"
