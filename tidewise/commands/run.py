"""`tidewise up`, `serve`, `worker` and `demo`: the long-running commands."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from tidewise.commands.options import Config, Data, Kafka, Set, as_arguments, as_variables, notes, overrides_of, screen
from tidewise.settings.schema import load_settings

Host = Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).", show_default=False)]
Port = Annotated[
    int | None, typer.Option(help="Port to listen on (default: 8080; 0: any free port).", show_default=False)
]

UpProcesses = Annotated[
    int | None, typer.Option(min=0, help="API processes on the port (default: one per core).", show_default=False)
]
ServeProcesses = Annotated[
    int | None, typer.Option(min=0, help="API processes on the port (default: 1).", show_default=False)
]

DEMO_SETTINGS = {
    "data.folder": ".tidewise/demo",
    "train.epochs": 4,  # enough for a small shop
    "drift.samples_per_minute": 100_000,  # its days pass in seconds
    "learn.drift_cooldown_minutes": 0,
}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("up")(up)
    app.command("serve")(serve)
    app.command("worker")(worker)
    app.command("demo")(demo)


def up(
    data: Data = None,
    config: Config = None,
    host: Host = None,
    port: Port = None,
    processes: UpProcesses = None,
    train: Annotated[bool, typer.Option(help="Train the first model once enough events exist.")] = True,
    set_: Set = None,
) -> None:
    """Start the whole system on one machine.

    API, ingestion, index, drift monitor and continuous learning. Ctrl-C ends it.
    """
    from tidewise.processes.api import run_up

    overrides = overrides_of(data, set_, server__host=host, server__port=port, server__processes=processes)
    settings = load_settings(config=config, overrides=overrides)
    run_up(
        settings,
        arguments=as_arguments(config),
        variables=as_variables(overrides),
        on_bound=partial(_say_ready, settings.server.scheme),
        train=train,
    )


def serve(
    data: Data = None,
    config: Config = None,
    host: Host = None,
    port: Port = None,
    processes: ServeProcesses = None,
    kafka: Kafka = None,
    set_: Set = None,
) -> None:
    """Start an API of the distributed system, beside workers.

    Ctrl-C ends it.
    """
    from tidewise.processes.api import run_api

    own = {"server__host": host, "server__port": port, "server__processes": processes}
    overrides = overrides_of(data, set_, **own, kafka__bootstrap_servers=kafka)
    settings = load_settings(config=config, overrides=overrides)
    run_api(settings, on_bound=partial(_say_ready, settings.server.scheme))


def worker(
    data: Data = None,
    config: Config = None,
    kafka: Kafka = None,
    name: Annotated[
        str | None, typer.Option(help="Name: unique among workers, the same after a restart.", show_default=False)
    ] = None,
    set_: Set = None,
) -> None:
    """Start a worker: consume events from Kafka.

    It applies the events to the database. Ctrl-C ends it.
    """
    from tidewise.processes.worker import run_worker

    overrides = overrides_of(data, set_, kafka__bootstrap_servers=kafka, kafka__worker=name)
    run_worker(load_settings(config=config, overrides=overrides))


def demo(
    data: Data = None,
    config: Config = None,
    port: Annotated[
        int | None, typer.Option(help="Port (default: 8080, or a free one if it is taken).", show_default=False)
    ] = None,
    kafka: Kafka = None,
    exit_: Annotated[bool, typer.Option("--exit", help="End after the tour.")] = False,
    users: Annotated[
        int, typer.Option(help="Users of the simulated shop; with half of them the demo needs half the time.", min=500)
    ] = 1_500,
    set_: Set = None,
) -> None:
    """Simulate a shop: train, serve and replay live traffic.

    With --kafka the traffic goes through Kafka. Ctrl-C ends it.
    """
    from tidewise.demo.demo import DemoOptions, run_demo

    overrides = {**DEMO_SETTINGS, **overrides_of(data, set_, kafka__bootstrap_servers=kafka)}
    settings = load_settings(config=config, overrides=overrides)
    options = DemoOptions(
        as_arguments(config), as_variables(overrides), port=port, exit_after_tour=exit_, num_users=users
    )
    if settings.kafka.bootstrap_servers:
        from tidewise.demo.demo_kafka import run_kafka_demo  # needs the kafka extra

        run_kafka_demo(settings, options, console=screen)
    else:
        run_demo(settings, options, console=screen)


def _say_ready(scheme: str, host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    notes.print(f"Tidewise answers at {scheme}://{shown}:{port} (Ctrl-C ends it)", markup=False, highlight=False)
