"""`tidewise models`: the versions there are, what became of each, and which one serves."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from core.clock import WallClock
from core.learn.versions import named, promote, roll_back
from core.records import ModelRecord, Promotion
from tidewise.bootstrap import open_system
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of

app = typer.Typer(no_args_is_help=True, help="Model versions: list, show, compare, promote, roll back.")

Version = Annotated[str, typer.Argument(help="A version, as `tidewise models list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why, for those who read the history.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_)
    app.command("show")(show)
    app.command("promote")(promote_)
    app.command("rollback")(rollback)
    app.command("diff")(diff)
    parent.add_typer(app, name="models")


def list_(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Show all versions, newest first."""
    models, promotions = _read(data, config, set_)
    if json_:
        print_json({"models": [one.to_json() for one in models], "promotions": [one.to_json() for one in promotions]})
        return
    for record in models:
        gone = "" if record.path else "  (files no longer kept)"
        why = record.lineage.get("refused") or _verdict(record.lineage)
        line = f"{record.version}  {_at(record.created_ms)}  {record.status:<10}  {why}{gone}"
        screen.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)
    if not models:
        notes.print("There are no models yet; `tidewise train` makes one.")


def show(version: Version, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Show where one version comes from and what became of it, trial by trial."""
    models, promotions = _read(data, config, set_)
    record = named(models, version)
    own = [one for one in promotions if version in (one.version, one.previous)]
    if json_:
        print_json({**record.to_json(), "promotions": [one.to_json() for one in own]})
        return
    screen.print(f"[bold]{record.version}[/]  {record.status}, made {_at(record.created_ms)}", highlight=False)
    for name, value in record.lineage.items():
        if name != "trials":
            screen.print(f"  {name}: {value}", markup=False, highlight=False, soft_wrap=True)
    for trial in record.lineage.get("trials", ()):
        screen.print(_trial_line(trial), markup=False, highlight=False, soft_wrap=True)
    for one in own:
        screen.print(f"  {_promotion_line(one)}", markup=False, highlight=False, soft_wrap=True)


def promote_(
    version: Version,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Even if the gate has refused it.")] = False,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Let a version serve; every running process takes it over within seconds."""
    _change(lambda tx, **facts: promote(tx, version, force=force, **facts), reason, data, config, set_, json_)


def rollback(
    reason: Reason = "", data: Data = None, config: Config = None, set_: Set = None, json_: Json = False
) -> None:
    """Let the version serve again that served before the present one."""
    _change(roll_back, reason, data, config, set_, json_)


def diff(
    version: Version,
    other: Annotated[str, typer.Argument(help="The version to compare it with.")],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show in what two versions differ: data, settings, metrics."""
    models, _ = _read(data, config, set_)
    found = differences(named(models, version).lineage, named(models, other).lineage)
    if json_:
        print_json({name: {version: one, other: two} for name, (one, two) in found.items()})
        return
    for name, (one, two) in found.items():
        screen.print(f"{name}\n  - {one}\n  + {two}", markup=False, highlight=False, soft_wrap=True)
    if not found:
        notes.print("They differ in nothing that was kept.")


def differences(one: Mapping[str, Any], two: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """The dotted names under which two lineages hold different values, with both; None where there is none."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*one, *two}):
        first, second = one.get(name), two.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            found |= differences(first, second, f"{prefix}{name}.")
        elif first != second:
            found[f"{prefix}{name}"] = (first, second)
    return found


def _change(change: Callable[..., Promotion], reason: str, data: Any, config: Any, set_: Any, json_: bool) -> None:
    with open_system(settings_of(data, config, set_)) as system, system.store.transaction() as tx:
        done = change(tx, decided_by=f"{getpass.getuser()} by command", reason=reason, now_ms=WallClock().now_ms())
        tx.commit()
    if json_:
        print_json(done.to_json())
    else:
        screen.print(f"Model [bold]{done.version}[/] serves now; it was {done.previous or 'popularity'}.")


def _read(data: Any, config: Any, set_: Any) -> tuple[list[ModelRecord], list[Promotion]]:
    with open_system(settings_of(data, config, set_)) as system, system.store.read() as read:
        return read.models.all(), read.models.promotions()


def _at(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _verdict(lineage: Mapping[str, Any]) -> str:
    trials = lineage.get("trials", ())
    return f"{trials[-1]['verdict']}: {trials[-1]['reason']}" if trials else ""


def _trial_line(trial: Mapping[str, Any]) -> str:
    return f"  trial {_at(trial['time'])}  {trial['verdict']}: {trial['reason']}"


def _promotion_line(one: Promotion) -> str:
    why = f": {one.reason}" if one.reason else ""
    return f"{one.kind} {_at(one.time_ms)}  {one.previous or 'popularity'} -> {one.version}, by {one.decided_by}{why}"
