"""`tidewise models`: model versions, their status, and which of them serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import typer

from core.clock import WallClock
from core.learn.versions import named, promote, roll_back
from core.records.stored import ModelRecord, Promotion
from core.times import second_text
from tidewise.bootstrap import open_existing
from tidewise.commands.learning.verdicts import print_comparisons
from tidewise.commands.operation.audit import audited
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of
from tidewise.process_setup import account

app = typer.Typer(no_args_is_help=True, help="List, show, compare, promote or roll back model versions.")

Version = Annotated[str, typer.Argument(help="A version, as `tidewise models list` shows it.")]
Reason = Annotated[str, typer.Option(help="Reason, for the history.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_)
    app.command("show")(show)
    app.command("promote")(promote_)
    app.command("rollback")(rollback)
    app.command("diff")(diff)
    parent.add_typer(app, name="models")


def list_(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """List all versions, newest first."""
    models, promotions = _read(data, config, set_)
    if json_:
        print_json(
            {
                "models": [record.to_json() for record in models],
                "promotions": [promotion.to_json() for promotion in promotions],
            }
        )
        return
    for record in models:
        gone = "" if record.path else "  (files deleted)"
        why = record.lineage.get("refused") or _verdict(record.lineage)
        line = f"{record.version}  {second_text(record.created_ms)}  {record.status:<10}  {why}{gone}"
        screen.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)
    if not models:
        notes.print("No models yet; `tidewise train` makes the first.")


def show(version: Version, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Show the lineage, trials and promotions of a version."""
    models, promotions = _read(data, config, set_)
    record = named(models, version)
    own = [promotion for promotion in promotions if version in (promotion.version, promotion.previous)]
    if json_:
        print_json({**record.to_json(), "promotions": [promotion.to_json() for promotion in own]})
        return
    screen.print(f"[bold]{record.version}[/]  {record.status}, made {second_text(record.created_ms)}", highlight=False)
    for name, value in record.lineage.items():
        if name != "trials":
            screen.print(f"  {name}: {value}", markup=False, highlight=False, soft_wrap=True)
    for trial in record.lineage.get("trials", ()):
        screen.print(_trial_line(trial), markup=False, highlight=False, soft_wrap=True)
        print_comparisons(trial)
    for promotion in own:
        screen.print(f"  {_promotion_line(promotion)}", markup=False, highlight=False, soft_wrap=True)


def promote_(
    version: Version,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Even if the gate refused it.")] = False,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Promote a version.

    Every running process serves it within seconds.
    """
    change = partial(promote, version=version, force=force)
    _change(change, "promote model", version, reason, data, config, set_, json_)


def rollback(
    reason: Reason = "", data: Data = None, config: Config = None, set_: Set = None, json_: Json = False
) -> None:
    """Promote the previously serving version again."""
    _change(roll_back, "roll back model", "", reason, data, config, set_, json_)


def diff(
    version: Version,
    other: Annotated[str, typer.Argument(help="The version to compare it with.")],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Compare two versions: data, settings, metrics."""
    models, _ = _read(data, config, set_)
    changes = differences(named(models, version).lineage, named(models, other).lineage)
    if json_:
        print_json({name: {version: left, other: right} for name, (left, right) in changes.items()})
        return
    for name, (left, right) in changes.items():
        screen.print(f"{name}\n  - {left}\n  + {right}", markup=False, highlight=False, soft_wrap=True)
    if not changes:
        notes.print("The versions do not differ.")


def differences(left: Mapping[str, Any], right: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """The different values of two lineages by dotted name; None where a lineage has no value."""
    changes: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*left, *right}):
        first, second = left.get(name), right.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            changes |= differences(first, second, f"{prefix}{name}.")
        elif first != second:
            changes[f"{prefix}{name}"] = (first, second)
    return changes


def _change(
    change: Callable[..., Promotion],
    action: str,
    target: str,
    reason: str,
    data: Any,
    config: Any,
    set_: Any,
    json_: bool,
) -> None:
    with open_existing(settings_of(data, config, set_)) as system, audited(system, action, target).transaction() as tx:
        promotion = change(tx, decided_by=f"{account()} by command", reason=reason, now_ms=WallClock().now_ms())
        tx.commit()
    if json_:
        print_json(promotion.to_json())
    else:
        screen.print(f"Model [bold]{promotion.version}[/] serves now, after {promotion.previous or 'popularity'}.")


def _read(data: Any, config: Any, set_: Any) -> tuple[list[ModelRecord], list[Promotion]]:
    with open_existing(settings_of(data, config, set_)) as system, system.store.read() as read:
        return read.models.all(), read.models.promotions()


def _verdict(lineage: Mapping[str, Any]) -> str:
    trials = lineage.get("trials", ())
    return f"{trials[-1]['verdict']}: {trials[-1]['reason']}" if trials else ""


def _trial_line(trial: Mapping[str, Any]) -> str:
    return f"  trial {second_text(trial['time'])}  {trial['verdict']}: {trial['reason']}"


def _promotion_line(promotion: Promotion) -> str:
    change = f"{promotion.previous or 'popularity'} -> {promotion.version}"
    reason = f": {promotion.reason}" if promotion.reason else ""
    return f"{promotion.kind} {second_text(promotion.time_ms)}  {change}, by {promotion.decided_by}{reason}"
