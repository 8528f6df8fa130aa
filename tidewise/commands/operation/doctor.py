"""`tidewise doctor`: checks a data folder, or the services of a distributed system, and says what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

import httpx
import typer

from core.clock import DAY_MS, WallClock
from core.errors import NotFound, TidewiseError
from core.ports.store import ReadTransaction
from core.times import minute_text
from tidewise.bootstrap import System, open_existing
from tidewise.commands.operation.advice import Finding, catalogue_findings, model_findings
from tidewise.commands.operation.offsets import positions_of
from tidewise.commands.options import Config, Data, Json, Kafka, Set, print_json, screen, settings_of
from tidewise.settings.schema import Settings

EXIT_PROBLEM = 1
FIRST_STEPS = "`tidewise import --events FILE --items FILE` loads your data, `tidewise demo` shows a simulated shop"
COMMAND = re.compile(r"`tidewise [^`]+`")
OLD_DAYS = 30
TIMEOUT_S = 2.0


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("doctor")(doctor)


def doctor(
    data: Data = None,
    config: Config = None,
    kafka: Kafka = None,
    url: Annotated[
        str | None, typer.Option(help="URL of the server (default: by server.host and port).", show_default=False)
    ] = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Check database, catalogue, events, model, Kafka and server, and say what to do next.

    The exit status is 1 where something is wrong.
    """
    settings = settings_of(data, config, set_, kafka__bootstrap_servers=kafka)
    findings = list(_findings(settings, url or settings.server.url))
    if json_:
        names = ("part", "text", "problem", "command")
        print_json([{name: getattr(finding, name) for name in names} for finding in findings])
    else:
        _print(findings)
    if any(finding.problem for finding in findings):
        raise typer.Exit(EXIT_PROBLEM)


def _findings(settings: Settings, url: str) -> Iterator[Finding]:
    try:
        with open_existing(settings) as system:
            with system.store.read() as read:
                yield Finding("database", f"{settings.data.folder.absolute()}, clock {system.settings.clock.mode}")
                yield from _event_findings(read, system)
                yield from catalogue_findings(read, settings)
                yield from model_findings(read, settings)
            if settings.kafka.bootstrap_servers:
                yield from _kafka_findings(settings, system)
    except NotFound as error:
        yield Finding("database", str(error), problem=True, command=FIRST_STEPS)
    except TidewiseError as error:
        named = COMMAND.search(str(error))
        yield Finding("database", str(error), problem=True, command=named[0] if named else "")
    yield _server_finding(url, settings)


def _event_findings(read: ReadTransaction, system: System) -> Iterator[Finding]:
    totals, newest_ms = read.totals(), read.offsets.newest_event_ms()
    if not totals.events or newest_ms is None:
        yield Finding("events", "none", problem=True, command="`tidewise import --events FILE`, or post them")
    else:
        text = f"{totals.events:,} by {totals.users:,} users, the newest of {minute_text(newest_ms)} UTC"
        is_old = system.settings.clock.mode == "wall" and WallClock().now_ms() - newest_ms > OLD_DAYS * DAY_MS
        remark = "; for an old log, a database made with --set clock.mode=stream answers as of its end"
        yield Finding("events", text + (remark if is_old else ""))
    if totals.dead_letters:
        text = f"{totals.dead_letters:,} rows or messages could not be read"
        yield Finding("dead letters", text, command="`tidewise dead-letters list`")


def _kafka_findings(settings: Settings, system: System) -> Iterator[Finding]:
    try:
        positions = positions_of(settings, system.store)
    except (TidewiseError, ImportError) as error:
        yield Finding("Kafka", str(error), problem=True)
        return
    problems = [position for position in positions.values() if position.problem]
    for position in problems:
        yield Finding(
            "Kafka",
            f"{position.stream}/{position.partition}: {position.problem}",
            problem=True,
            command="`tidewise offsets show`",
        )
    if not problems:
        yield Finding("Kafka", f"{len(positions)} partitions of {settings.kafka.topic}")


def _server_finding(url: str, settings: Settings) -> Finding:
    try:
        version = httpx.get(f"{url}/health", timeout=TIMEOUT_S).json()["version"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        command = "serve" if settings.kafka.bootstrap_servers else "up"
        return Finding("server", f"no Tidewise answers at {url}", command=f"`tidewise {command}`")
    return Finding("server", f"Tidewise {version} answers at {url}")


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        mark = "!" if finding.problem else " "
        screen.print(f"{mark} {finding.part}: {finding.text}", markup=False, highlight=False, soft_wrap=True)
    if step := _next_step(findings):
        screen.print(f"Next: {step}", markup=False, highlight=False, soft_wrap=True)


def _next_step(findings: list[Finding]) -> str:
    """What mends the first problem; without one, the first command that a finding names."""
    for finding in findings:
        if finding.problem:
            return finding.command or f"mend what the line of {finding.part} says, then run `tidewise doctor` again"
    return next((finding.command for finding in findings if finding.command), "")
