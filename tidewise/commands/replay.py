"""`tidewise replay`: sends the events of a file, in order, to a running server or to Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from itertools import dropwhile
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.imports.event_import import read_history
from core.interactions import Interaction
from tidewise.client import Client
from tidewise.commands.data import Columns, Format, TimeUnit
from tidewise.commands.options import Config, Data, Json, Kafka, Set, notes, print_json, screen, settings_of
from tidewise.files import event_columns, opened, row_rules
from tidewise.live_traffic import TrafficPace, events_bar, replay_live
from tidewise.processes.kafka import replay_to_kafka
from tidewise.settings.schema import Settings

DEFAULT_URL = "http://127.0.0.1:8080"
EXIT_INTERRUPTED = 130  # the shell's exit status after SIGINT

From = Annotated[int | None, typer.Option("--from", help="Start at this time, in the file's unit.", show_default=False)]
Url = Annotated[
    str | None, typer.Option(help=f"URL of the server (default: {DEFAULT_URL}, without --kafka).", show_default=False)
]
Clients = Annotated[int, typer.Option(min=1, help="To a server: parallel clients; each sends the events of its users.")]
Rate = Annotated[float | None, typer.Option(help="Events per second (default: unlimited).", show_default=False)]
Speed = Annotated[
    float | None,
    typer.Option(help="To Kafka: replay at the events' times, this many times faster.", show_default=False),
]
Group = Annotated[int, typer.Option(min=1, max=10_000, help="To Kafka: maximum events per message.")]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("replay")(replay)


def replay(
    file: Annotated[Path, typer.Argument(help="Events: CSV, TSV or JSON lines, also gzipped; sorted by time.")],
    columns: Columns = "user_id,item_id,time",
    time_unit: TimeUnit = "ms",
    from_: From = None,
    url: Url = None,
    clients: Clients = 1,
    kafka: Kafka = None,
    rate: Rate = None,
    speed: Speed = None,
    group: Group = 1,
    format_: Format = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Replay the events of a file to a server or to Kafka."""
    settings = settings_of(data, config, set_, kafka__bootstrap_servers=kafka)
    into_kafka = bool(settings.kafka.bootstrap_servers) and url is None
    _check(into_kafka, kafka=kafka, url=url, clients=clients, rate=rate, speed=speed, group=group)
    rules = row_rules(settings, event_columns(columns), time_unit=time_unit)
    from_ms, num_bad = rules.in_ms([from_ or 0])[0], list[int]()
    interrupted = False
    with ExitStack() as stack:
        events = read_history(
            stack.enter_context(opened(file, format_)),
            rules=rules,
            on_bad=lambda bad: num_bad.append(len(bad)),
        )
        selected = dropwhile(lambda event: event.time_ms < from_ms, events)
        if into_kafka:
            figures, interrupted = _into_kafka(settings, selected, rate=rate, speed=speed, group=group)
        else:
            senders = [
                stack.enter_context(Client(url or DEFAULT_URL, api_key=settings.api_key())) for _ in range(clients)
            ]
            report = replay_live(senders, selected, pace=TrafficPace(rate), console=notes)
            figures = {**report.statuses, **_speed(report.elapsed_s, report.events_per_s)}
    _print({**figures, "bad_lines": sum(num_bad)}, json_=json_)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _check(
    into_kafka: bool,
    *,
    kafka: str | None,
    url: str | None,
    clients: int,
    rate: float | None,
    speed: float | None,
    group: int,
) -> None:
    """Raise `InvalidInput` for options that contradict each other."""
    if kafka is not None and url is not None:
        msg = "replay: wanted --url or --kafka, got both; events go to a server or to Kafka"
    elif rate is not None and speed is not None:
        msg = "replay: wanted --rate or --speed, got both; a rate ignores the events' times"
    elif into_kafka and clients != 1:
        msg = "replay: --clients is for a server; to Kafka one producer sends, in the order of the file"
    elif not into_kafka and (speed is not None or group != 1):
        msg = "replay: --speed and --group are for Kafka; name it with --kafka HOST:PORT, or leave them out"
    else:
        return
    raise InvalidInput(msg)


def _into_kafka(
    settings: Settings, events: Iterable[Interaction], *, rate: float | None, speed: float | None, group: int
) -> tuple[dict[str, float], bool]:
    with events_bar(notes) as progress:
        task = progress.add_task("replay", total=None)
        result = replay_to_kafka(
            settings,
            events,
            rate=rate,
            speed=speed,
            group=group,
            on_progress=lambda num_sent: progress.update(task, completed=num_sent),
        )
    figures = {"events": result.num_events, "messages": result.num_messages}
    return {**figures, **_speed(result.elapsed_s, result.events_per_s)}, result.interrupted


def _speed(elapsed_s: float, events_per_s: float) -> dict[str, float]:
    return {"seconds": round(elapsed_s, 1), "events_per_s": round(events_per_s)}


def _print(figures: dict[str, float], *, json_: bool) -> None:
    if json_:
        print_json(figures)
    else:
        screen.print("  ".join(f"{name} {value:,}" for name, value in figures.items()), highlight=False)
