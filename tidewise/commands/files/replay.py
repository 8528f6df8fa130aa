"""`tidewise replay`: sends the events of a file, in order, to a running server or to Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import dropwhile
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.events.interactions import Interaction
from core.imports.event_import import read_history
from core.imports.rows import BadLine
from core.times import second_text
from tidewise.client import Client
from tidewise.commands.files.file_options import FORMATS_HELP, EventFileOptions
from tidewise.commands.files.line_numbers import NumberedRows
from tidewise.commands.options import Config, Data, Json, Kafka, Set, finite, notes, print_json, screen, settings_of
from tidewise.commands.requests import command_of
from tidewise.files import opened
from tidewise.live_traffic import TrafficPace, events_bar, replay_live
from tidewise.process_setup import EXIT_INTERRUPTED
from tidewise.processes.kafka import replay_to_kafka
from tidewise.settings.schema import Settings

DEFAULT_URL = "http://127.0.0.1:8080"
SHOWN_BAD_LINES = 10


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("replay")(command_of(ReplayRequest, replay))


@dataclass(frozen=True, kw_only=True)
class ReplayRequest(EventFileOptions):
    """Replay the events of files to a server or to Kafka."""

    file: Annotated[list[Path], typer.Argument(help=f"Events, sorted by time: {FORMATS_HELP}.")]
    from_: Annotated[
        str | None,
        typer.Option("--from", help="Start at this time: in the files' unit, or as 2022-06-24.", show_default=False),
    ] = None
    url: Annotated[
        str | None,
        typer.Option(help=f"URL of the server (default: {DEFAULT_URL}, without --kafka).", show_default=False),
    ] = None
    clients: Annotated[
        int, typer.Option(min=1, help="To a server: parallel clients; each sends the events of its users.")
    ] = 1
    kafka: Kafka = None
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, callback=finite, help="Events per second (default: unlimited).", show_default=False),
    ] = None
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            callback=finite,
            help="To Kafka: replay at the events' times, this many times faster.",
            show_default=False,
        ),
    ] = None
    group: Annotated[int, typer.Option(min=1, max=10_000, help="To Kafka: maximum events per message.")] = 1
    data: Data = None
    config: Config = None
    set_: Set = None
    json: Json = False


def replay(request: ReplayRequest) -> None:
    """Read the events, send them, and print what became of them."""
    settings = settings_of(request.data, request.config, request.set_, kafka__bootstrap_servers=request.kafka)
    into_kafka = bool(settings.kafka.bootstrap_servers) and request.url is None
    _check(request, into_kafka=into_kafka)
    bad, interrupted = BadLines(), False
    events = _events(request, settings, bad)
    with ExitStack() as stack:
        if into_kafka:
            figures, interrupted = _into_kafka(settings, events, request)
        else:
            url, key = request.url or DEFAULT_URL, settings.api_key()
            senders = [stack.enter_context(Client(url, api_key=key)) for _ in range(request.clients)]
            report = replay_live(senders, events, pace=TrafficPace(request.rate), console=notes)
            figures = {**report.statuses, **_speed(report.elapsed_s, report.events_per_s)}
    bad.print()
    _print({**figures, "bad_lines": bad.num_lines}, json_=request.json)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


@dataclass
class BadLines:
    """The number of lines that could not be read, and the first of them with their file."""

    num_lines: int = 0
    first: list[tuple[Path, BadLine]] = field(default_factory=list)

    def note(self, path: Path, lines: Sequence[BadLine]) -> None:
        """Count lines of a file."""
        self.num_lines += len(lines)
        self.first += [(path, line) for line in lines[: SHOWN_BAD_LINES - len(self.first)]]

    def print(self) -> None:
        """Print the first lines with their reasons, as remarks."""
        for path, line in self.first:
            notes.print(f"{path.name}, line {line.line}: {line.reason}", markup=False, highlight=False)


@dataclass
class TimeOrder:
    """Warns once of an event that is earlier than one before it: `replay` sends it late, as the file has it."""

    newest_ms: int = 0
    is_warned: bool = False

    def note(self, path: Path, line: int, time_ms: int) -> None:
        """Compare the next event with those before it."""
        if time_ms >= self.newest_ms:
            self.newest_ms = time_ms
        elif not self.is_warned:
            self.is_warned = True
            text = (
                f"warning: {path.name}, line {line}: {second_text(time_ms)} UTC is earlier than an event before it, "
                f"{second_text(self.newest_ms)} UTC; sort the files by time"
            )
            notes.print(text, markup=False, highlight=False, soft_wrap=True)


def _events(request: ReplayRequest, settings: Settings, bad: BadLines) -> Iterator[Interaction]:
    """The events of all files, each from the time on that is asked for; warns of the first one out of order."""
    order = TimeOrder()
    for path in request.file:
        rules = request.rules(settings, path)
        from_ms = 0 if request.from_ is None else rules.time_of("--from", request.from_)
        with opened(path, request.format_of(path)) as reader:
            rows = NumberedRows(reader)
            events = rows.numbered(read_history(rows, rules=rules, on_bad=partial(bad.note, path)))
            for line, event in dropwhile(partial(_is_before, from_ms), events):
                order.note(path, line, event.time_ms)
                yield event


def _is_before(time_ms: int, numbered: tuple[int, Interaction]) -> bool:
    return numbered[1].time_ms < time_ms


def _check(request: ReplayRequest, *, into_kafka: bool) -> None:
    """Raise `InvalidInput` for options that contradict each other."""
    if request.kafka is not None and request.url is not None:
        msg = "replay: wanted --url or --kafka, got both; events go to a server or to Kafka"
    elif request.rate is not None and request.speed is not None:
        msg = "replay: wanted --rate or --speed, got both; a rate ignores the events' times"
    elif into_kafka and request.clients != 1:
        msg = "replay: --clients is for a server; to Kafka one producer sends, in the order of the file"
    elif not into_kafka and (request.speed is not None or request.group != 1):
        msg = "replay: --speed and --group are for Kafka; name it with --kafka HOST:PORT, or leave them out"
    else:
        return
    raise InvalidInput(msg)


def _into_kafka(
    settings: Settings, events: Iterable[Interaction], request: ReplayRequest
) -> tuple[dict[str, float], bool]:
    with events_bar(notes) as progress:
        task = progress.add_task("replay", total=None)
        result = replay_to_kafka(
            settings,
            events,
            rate=request.rate,
            speed=request.speed,
            group=request.group,
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
