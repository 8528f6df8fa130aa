"""`tidewise rebuild`, `migrate` and `settings`: maintenance of an installation."""

from __future__ import annotations

import typer
from rich.progress import Progress

from core.clock import DAY_MS
from core.drift.segments import EventSegments
from tidewise.bootstrap import check_rebuildable, meta_of, open_existing, open_system
from tidewise.commands.options import Config, Data, Json, Set, notes, overrides_of, print_json, screen, settings_of
from tidewise.settings.schema import open_sources
from tidewise.settings.sources import origin_of


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("rebuild")(rebuild)
    app.command("migrate")(migrate)
    app.command("settings")(settings)


def rebuild(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Recompute derived state from the stored events.

    Needed after a change of settings that shape windows, popularity or counts.
    """
    from core.ingestion.rebuild import rebuild as rebuild_store

    chosen = settings_of(data, config, set_)
    with open_existing(chosen, check_meta=False) as system:
        check_rebuildable(system.store, chosen)
        with system.store.read() as read:
            total = read.totals().events
            meta = {**meta_of(chosen), "clock.mode": read.metadata.all().get("clock.mode", chosen.clock.mode)}
        with Progress(console=notes, transient=True) as progress:
            task = progress.add_task("rebuilding", total=total)
            num_events = rebuild_store(
                system.store,
                types=system.types,
                shape=system.shape,
                half_life_ms=chosen.popularity.half_life_days * DAY_MS,
                meta=meta,
                segments=EventSegments(chosen.interest.segment_names()),
                progress=lambda done: progress.update(task, completed=done),
            )
    if json_:
        print_json({"events": num_events})
    else:
        screen.print(f"Rebuilt the state of all users from {num_events:,} events.")


def migrate(data: Data = None, config: Config = None, set_: Set = None) -> None:
    """Migrate the database to the schema of this version.

    Every other command does so too.
    """
    open_system(settings_of(data, config, set_)).close()
    notes.print("The database is ready.")


def settings(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Show every setting and its origin, secrets masked."""
    shown = settings_of(data, config, set_).masked()
    if json_:
        print_json(shown)
        return
    sources = open_sources(config, overrides_of(data, set_))
    for section, values in shown.items():
        screen.print(f"[bold]{section}[/]")
        for name, value in values.items():
            origin = origin_of((section, name), sources)
            note = "" if origin == "default" else f"  # {origin}"
            screen.print(f"  {name} = {value!r}{note}", markup=False, highlight=False, soft_wrap=True)
