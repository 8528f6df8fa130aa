"""`tidewise dead-letters`: lists, retries and discards input that could not be applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.events.interactions import shorten
from core.ingestion.dead_letters import dead_letter_json
from core.records.stored import DeadLetter
from core.times import second_text
from tidewise.bootstrap import open_existing
from tidewise.commands.operation.audit import audited
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of

app = typer.Typer(no_args_is_help=True, help="List, retry or discard input that could not be applied.")

Keys = Annotated[list[int] | None, typer.Argument(metavar="[KEY]...", help="Keys of dead letters.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All dead letters.")]
Source = Annotated[
    str | None, typer.Option(help="Only dead letters from this topic or file.", metavar="NAME", show_default=False)
]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_)
    app.command("retry")(retry)
    app.command("discard")(discard)
    parent.add_typer(app, name="dead-letters")


def list_(
    data: Data = None,
    config: Config = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")] = 20,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """List the newest dead letters: key, source and reason."""
    with open_existing(settings_of(data, config, set_)) as system, system.store.read() as read:
        dead_letters, total = read.dead_letters.newest(limit=limit), read.dead_letters.count()
    if json_:
        print_json({"total": total, "dead_letters": [dead_letter_json(dead_letter) for dead_letter in dead_letters]})
        return
    for dead_letter in dead_letters:
        screen.print(_line(dead_letter), markup=False, highlight=False, soft_wrap=True)
    notes.print(f"{len(dead_letters):,} of {total:,} dead letters.", highlight=False)


def retry(
    keys: Keys = None,
    all_: All = False,
    source: Annotated[
        str | None,
        typer.Option(help="Topic of the dead letters (default: kafka.topic).", metavar="TOPIC", show_default=False),
    ] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Apply dead letters again, by the current settings.

    Those that fail again stay, with the new reason. Rows of a file are not retried: correct the file and import it
    again.
    """
    from core.ingestion.dead_letters import retry as retry_letters
    from tidewise.processes.kafka import codec_of

    selected = _selected(keys, all_)
    settings = settings_of(data, config, set_)
    with open_existing(settings) as system:
        decode, topic = codec_of(settings).decode_dead_letter, source or settings.kafka.topic
        result = retry_letters(system.store, system.ingestor, decode, source=topic, keys=selected)
    if json_:
        report = {"retried": result.num_retried, "succeeded": result.num_succeeded, "accepted": result.num_accepted}
        print_json({**report, "failed": [dead_letter_json(dead_letter) for dead_letter in result.failures]})
        return
    for dead_letter in result.failures[:20]:
        screen.print(_line(dead_letter), markup=False, highlight=False, soft_wrap=True)
    counts = f"{result.num_succeeded:,} succeeded, {len(result.failures):,} failed, {result.num_accepted:,} new events"
    notes.print(f"{result.num_retried:,} dead letters from {topic}: {counts}.", markup=False, highlight=False)


def discard(
    keys: Keys = None,
    all_: All = False,
    source: Source = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Delete dead letters permanently."""
    from core.ingestion.dead_letters import discard as discard_letters

    selected = _selected(keys, all_)
    with open_existing(settings_of(data, config, set_)) as system:
        num = discard_letters(audited(system, "discard dead letters"), source=source, keys=selected)
    if json_:
        print_json({"discarded": num})
    else:
        notes.print(f"{num:,} dead letters discarded.", highlight=False)


def _selected(keys: Sequence[int] | None, all_: bool) -> set[int] | None:
    """The keys, or None for all; one of the two is required."""
    if bool(keys) == all_:
        msg = "wanted the keys of dead letters (`tidewise dead-letters list` shows them), or --all, and not both"
        raise InvalidInput(msg)
    return set(keys) if keys else None


def _line(dead_letter: DeadLetter) -> str:
    retried = f" (retried {dead_letter.num_retries}x)" if dead_letter.num_retries else ""
    position = f"{dead_letter.source}/{dead_letter.partition}@{dead_letter.offset}"
    head = f"{dead_letter.key}  {second_text(dead_letter.time_ms)}  {position}{retried}"
    return f"{head}\n    {dead_letter.reason}\n    {shorten(dead_letter.payload)}"
