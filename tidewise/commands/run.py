"""`tidewise up` and `tidewise serve`: the long-running commands of the HTTP side."""

from __future__ import annotations

from typing import Annotated

import typer

from tidewise.commands.options import Config, Data, Set, as_arguments, notes, overrides_of, screen
from tidewise.settings import load_settings

Host = Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1).", show_default=False)]
Port = Annotated[
    int | None, typer.Option(help="Port to listen on (default 8080; 0 takes a free one).", show_default=False)
]

DEMO_SETTINGS = {"data.folder": ".tidewise/demo", "train.epochs": 6}  # a small shop is learnt by then


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("up")(up)
    app.command("serve")(serve)
    app.command("demo")(demo)


def up(
    data: Data = None,
    config: Config = None,
    host: Host = None,
    port: Port = None,
    train: Annotated[bool, typer.Option(help="Train a first model once enough events exist.")] = True,
    set_: Set = None,
) -> None:
    """Start the whole system in one process: API, ingest, index, first training. Ctrl-C ends it."""
    from tidewise.embedded import run_up

    overrides = overrides_of(data, set_, server__host=host, server__port=port)
    settings = load_settings(config=config, overrides=overrides)
    run_up(settings, arguments=as_arguments(overrides, config), variables={}, on_bound=_say_ready, train=train)


def serve(data: Data = None, config: Config = None, host: Host = None, port: Port = None, set_: Set = None) -> None:
    """Start the API alone, beside workers that ingest from Kafka. Ctrl-C ends it."""
    from tidewise.embedded import run_api

    overrides = overrides_of(data, set_, server__host=host, server__port=port)
    run_api(load_settings(config=config, overrides=overrides), on_bound=_say_ready)


def demo(
    data: Data = None,
    config: Config = None,
    port: Annotated[
        int | None, typer.Option(help="Port (default: 8080, or a free one if it is taken).", show_default=False)
    ] = None,
    exit_: Annotated[bool, typer.Option("--exit", help="End after the tour.")] = False,
    set_: Set = None,
) -> None:
    """Build a simulated shop, train, serve it, replay live traffic and show what happens."""
    from tidewise.demo import DemoOptions, run_demo

    settings = load_settings(config=config, overrides={**DEMO_SETTINGS, **overrides_of(data, set_)})
    run_demo(settings, DemoOptions(port=port, exit_after_tour=exit_), console=screen)


def _say_ready(host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    notes.print(f"Tidewise answers at http://{shown}:{port} (Ctrl-C ends it)", markup=False, highlight=False)
