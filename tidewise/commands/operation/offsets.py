"""`tidewise offsets`: shows and sets the offsets that the database has applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.ingestion.offsets import PartitionPosition, move_offset
from core.ports.store import Store
from tidewise.bootstrap import open_existing
from tidewise.commands.operation.audit import audited
from tidewise.commands.options import Config, Data, Json, Kafka, Set, notes, print_json, screen, settings_of
from tidewise.settings.schema import Settings

app = typer.Typer(no_args_is_help=True, help="Show or set the offsets that the database has applied.")


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("show")(show)
    app.command("set")(set_offset)
    parent.add_typer(app, name="offsets")


def show(kafka: Kafka = None, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Show the applied offset and the log's offsets of each partition."""
    settings = settings_of(data, config, set_, kafka__bootstrap_servers=kafka)
    with open_existing(settings) as system:
        positions = positions_of(settings, system.store)
    if json_:
        print_json([asdict(position) | {"problem": position.problem} for position in positions.values()])
        return
    for position in positions.values():
        screen.print(_line(position), markup=False, highlight=False, soft_wrap=True)


def set_offset(
    partition: Annotated[int, typer.Option(min=0, help="Partition.")],
    to: Annotated[str, typer.Option(metavar="earliest|latest|OFFSET", help="Offset to continue from.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    kafka: Kafka = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Set the offset that workers continue a partition from."""
    settings = settings_of(data, config, set_, kafka__bootstrap_servers=kafka)
    with open_existing(settings) as system:
        positions = positions_of(settings, system.store)
        if partition not in positions:
            msg = f"--partition: wanted one of {settings.kafka.topic}, 0 to {len(positions) - 1}, got {partition}"
            raise InvalidInput(msg)
        position = positions[partition]
        offset = _offset(to, position)
        notes.print(_line(position), markup=False, highlight=False, soft_wrap=True)
        notes.print(f"Continuing at {offset}: {position.consequence(offset)}.", markup=False, highlight=False)
        if not yes and not typer.confirm("Continue?", err=True):
            notes.print("Nothing changed.")
            raise typer.Exit(1)
        move_offset(audited(system, "set offset", f"{position.stream}/{partition}: {offset}"), position, to=offset)
    notes.print(f"{position.stream}/{partition}: workers continue at {offset}.", markup=False, highlight=False)


def positions_of(settings: Settings, store: Store) -> Mapping[int, PartitionPosition]:
    """The applied offset and the log's offsets by partition; raises `StreamUnavailable`."""
    from tidewise.processes.kafka import log_bounds_of

    bounds = log_bounds_of(settings)
    with store.read() as view:
        applied = view.offsets.applied(settings.kafka.topic)
    return {
        number: PartitionPosition(settings.kafka.topic, number, applied.get(number), start, end)
        for number, (start, end) in sorted(bounds.items())
    }


def _offset(to: str, position: PartitionPosition) -> int:
    named = {"earliest": position.log_start, "latest": position.log_end}
    if to not in named and not to.isdecimal():
        msg = f"--to: wanted earliest, latest or an offset, got {to!r}"
        raise InvalidInput(msg)
    offset = named.get(to, int(to) if to.isdecimal() else 0)
    if not position.log_start <= offset <= position.log_end:
        msg = f"--to: wanted an offset that the log holds, {position.log_start} to {position.log_end}, got {offset}"
        raise InvalidInput(msg)
    return offset


def _line(position: PartitionPosition) -> str:
    applied = "nothing" if position.next_offset == 0 or position.applied is None else f"up to {position.applied}"
    holds = f"the log holds {position.log_start} to {position.log_end}"
    fits = position.problem or f"{position.log_end - position.next_offset} to read"
    return f"{position.stream}/{position.partition}: applied {applied}, {holds}: {fits}"
