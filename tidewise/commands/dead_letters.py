"""`tidewise dead-letters`: look at input that was set aside, apply it again, or throw it away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.ingestion.dead_letters import dead_letter_json
from core.interactions import shorten
from core.records import DeadLetter
from tidewise.bootstrap import open_system
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of

app = typer.Typer(no_args_is_help=True, help="Input that could not be applied: list, retry, discard.")

Keys = Annotated[list[int] | None, typer.Argument(metavar="[KEY]...", help="Which letters.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Source = Annotated[
    str | None, typer.Option(help="Only those from this topic or file.", metavar="NAME", show_default=False)
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
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show the newest letters: their keys, where they came from, and why they were set aside."""
    with open_system(settings_of(data, config, set_)) as system, system.store.read() as read:
        found, total = read.dead_letters.newest(limit=limit), read.dead_letters.count()
    if json_:
        print_json({"total": total, "dead_letters": [dead_letter_json(letter) for letter in found]})
        return
    for letter in found:
        screen.print(_line(letter), markup=False, highlight=False, soft_wrap=True)
    notes.print(f"{len(found):,} of {total:,} dead letters.", highlight=False)


def retry(
    keys: Keys = None,
    all_: All = False,
    source: Annotated[
        str | None,
        typer.Option(help="The topic they came from (default: kafka.topic).", metavar="TOPIC", show_default=False),
    ] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Decode letters by the settings as they are now and apply them; those that fail again stay, with the new reason.

    What came from a file is imported again from the file.
    """
    from core.ingestion.dead_letters import retry as retry_letters
    from tidewise.processes.kafka import codec_of

    wanted = _wanted(keys, all_)
    settings = settings_of(data, config, set_)
    with open_system(settings) as system:
        decode, topic = codec_of(settings).decode_dead_letter, source or settings.kafka.topic
        done = retry_letters(system.store, system.ingestor, decode, source=topic, keys=wanted)
    if json_:
        report = {"letters": done.num_retried, "settled": done.num_succeeded, "accepted": done.num_accepted}
        print_json({**report, "failed": [dead_letter_json(letter) for letter in done.failures]})
        return
    for letter in done.failures[:20]:
        screen.print(_line(letter), markup=False, highlight=False, soft_wrap=True)
    counts = f"{done.num_succeeded:,} settled, {done.num_accepted:,} events new, {len(done.failures):,} failed again"
    notes.print(f"{done.num_retried:,} letters from {topic}: {counts}.", markup=False, highlight=False)


def discard(
    keys: Keys = None,
    all_: All = False,
    source: Source = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Delete letters for good."""
    from core.ingestion.dead_letters import discard as discard_letters

    wanted = _wanted(keys, all_)
    with open_system(settings_of(data, config, set_)) as system:
        num = discard_letters(system.store, source=source, keys=wanted)
    if json_:
        print_json({"discarded": num})
    else:
        notes.print(f"{num:,} letters discarded.", highlight=False)


def _wanted(keys: Sequence[int] | None, all_: bool) -> set[int] | None:
    """The keys, or None for all; one of the two must be said."""
    if bool(keys) == all_:
        msg = "wanted the keys of letters (`tidewise dead-letters list` shows them), or --all, and not both"
        raise InvalidInput(msg)
    return set(keys) if keys else None


def _line(letter: DeadLetter) -> str:
    at = datetime.fromtimestamp(letter.time_ms / 1000, UTC)
    retried = f" (retried {letter.num_retries}x)" if letter.num_retries else ""
    place = f"{letter.source}/{letter.partition}@{letter.offset}"
    return f"{letter.key}  {at:%Y-%m-%d %H:%M:%S}  {place}{retried}\n    {letter.reason}\n    {shorten(letter.payload)}"
