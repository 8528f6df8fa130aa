"""Options that commands share, and their conversion to settings.

Every setting can be given by `--set NAME=VALUE`; the most frequent ones have flags.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from core.errors import InvalidSettings
from tidewise.process_setup import printable
from tidewise.settings.schema import Settings, load_settings

Data = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="Data folder (default: .tidewise).", show_default=False),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Settings file in TOML (default: tidewise.toml in the data folder).",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of docs/settings.md, such as window.size=100; repeat for more.",
        show_default=False,
    ),
]
Kafka = Annotated[
    str | None,
    typer.Option(
        "--kafka", metavar="HOST:PORT", help="Kafka's bootstrap servers, comma-separated.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]

MAX_WIDTH = 1_000  # characters
OVERRIDES = "_TIDEWISE_OVERRIDES"  # the environment variable with the flags of the process that started this one


class PrintableConsole(Console):
    """A console on which titles and ids, which anybody may have sent, give the terminal no commands."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text as it is printed."""
        return super().render_str(printable(text), **options)


screen = PrintableConsole()
notes = PrintableConsole(stderr=True)  # progress and remarks; standard output stays clean for pipes


def print_whole(table: Table) -> None:
    """Print a table as wide as its content: names in narrow columns would be cut, in pipes at 80 characters."""
    unbounded = screen.options.update(width=MAX_WIDTH)
    table.width = Measurement.get(screen, unbounded, table).maximum
    screen.print(table, crop=False)


def finite(value: float | None) -> float | None:
    """The number of an option; "nan" and "inf" are numbers to Python, and pass bounds."""
    if value is not None and not math.isfinite(value):
        msg = f"{value} is not a finite number."
        raise typer.BadParameter(msg)
    return value


def overrides_of(data: Path | None, assignments: Sequence[str] | None, **flags: object) -> dict[str, object]:
    """Settings by dotted name from `--data`, `--set` and other flags (None: absent), else from those of the parent."""
    values: dict[str, object] = json.loads(os.environ.get(OVERRIDES, "{}"))
    if data:
        values["data.folder"] = str(data)
    for assignment in assignments or []:
        name, sign, value = assignment.partition("=")
        if not sign or "." not in name:
            msg = f"--set: wanted SECTION.NAME=VALUE, got {assignment!r}; docs/settings.md lists the names"
            raise InvalidSettings(msg)
        values[name.strip()] = value
    values.update({name.replace("__", "."): value for name, value in flags.items() if value is not None})
    return values


def settings_of(data: Path | None, config: Path | None, assignments: Sequence[str] | None, **flags: object) -> Settings:
    """The settings of this command."""
    return load_settings(config=config, overrides=overrides_of(data, assignments, **flags))


def as_arguments(config: Path | None) -> list[str]:
    """The options that, with `as_variables`, give a child process the same settings."""
    return ["--config", str(config)] if config else []


def as_variables(overrides: Mapping[str, object]) -> dict[str, str]:
    """The environment that does; every account of the machine can read a command line.

    One variable with all flags: `TIDEWISE_` variables are weaker than those with `_FILE`, and know no upper case.
    """
    return {OVERRIDES: json.dumps(overrides)}


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    typer.echo(printable(json.dumps(_with_null(document), ensure_ascii=False, default=str)))


def _with_null(value: object) -> object:
    """The document with null for what is no finite number, which JSON has not; as the HTTP API answers."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _with_null(entry) for name, entry in value.items()}
    return [_with_null(entry) for entry in value] if isinstance(value, list | tuple) else value
