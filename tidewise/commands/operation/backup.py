"""`tidewise backup`, `restore` and `verify`: leaving, coming back, and whether stored state is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from core.clock import DAY_MS, WallClock
from core.ingestion.derivation import Derivation
from core.ingestion.verify import Verification
from core.times import minute_text
from tidewise.bootstrap import open_existing
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of

EXIT_DIFFERENT = 1
MIB = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("verify")(verify)


def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the backup.", show_default=False)],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Copy database, models and features to a folder, as of one moment, also while Tidewise runs."""
    from tidewise.backups import make_backup

    settings = settings_of(data, config, set_)
    open_existing(settings).close()
    with _steps() as step:
        made = make_backup(settings, folder, now_ms=WallClock().now_ms(), progress=step)
    if json_:
        print_json({"folder": str(folder), "files": len(made.files), "bytes": made.num_bytes})
        return
    screen.print(
        f"{folder}: {len(made.files)} files, {made.num_bytes / MIB:,.1f} MiB; it holds personal data, protect it",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder that `tidewise backup` made.", show_default=False)
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Compare the files with their digests; restore nothing.")
    ] = False,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Make a new data folder and database of a backup, after checking all of its files."""
    from tidewise.backups import read_backup, restore_backup

    settings = settings_of(data, config, set_)
    with _steps() as step:
        found = read_backup(folder, progress=step) if check else restore_backup(folder, settings, progress=step)
    if json_:
        print_json({"folder": str(folder), "restored": not check, "made": found.made_ms, "bytes": found.num_bytes})
        return
    made = f"made {minute_text(found.made_ms)} UTC by Tidewise {found.version}"
    screen.print(f"{folder}: whole, {made}", markup=False, highlight=False, soft_wrap=True)
    if not check:
        screen.print(
            f"Restored to {settings.data.folder.absolute()}. Next: `tidewise verify`, then repeat erasures made since.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def verify(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Compute derived state anew from the stored events, and say where the stored one differs.

    Changes nothing, and may run beside other processes. The exit status is 1 where something differs.
    """
    from core.ingestion.verify import verify as verify_store

    with open_existing(settings_of(data, config, set_)) as system:
        derivation = Derivation(system.types, system.shape, system.settings.popularity.half_life_days * DAY_MS)
        with system.store.read() as read, Progress(console=notes, transient=True) as progress:
            task = progress.add_task("verifying", total=read.totals().events)
            result = verify_store(read, derivation, progress=lambda done: progress.update(task, completed=done))
    if json_:
        print_json(result.to_json())
    else:
        _print(result)
    if result.different:
        raise typer.Exit(EXIT_DIFFERENT)


def _print(result: Verification) -> None:
    for difference in result.examples:
        text = f"{difference.part} of {difference.name}: stored {difference.stored}, from events {difference.expected}"
        screen.print(text, markup=False, highlight=False, soft_wrap=True)
    if not result.different:
        screen.print(f"{result.num_events:,} events of {result.num_users:,} users: all derived state agrees.")
        return
    parts = ", ".join(f"{num:,} x {part}" for part, num in result.different.items())
    screen.print(f"{result.num_events:,} events: {parts} differ. Next: stop every process and run `tidewise rebuild`.")


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """A line that shows the current step."""
    with notes.status("") as status:
        yield lambda step: status.update(step)
