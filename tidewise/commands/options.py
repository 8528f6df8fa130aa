"""Options that commands share, and how they become settings.

Every setting can be given by `--set NAME=VALUE`; the few that everybody uses have flags of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.errors import InvalidSettings
from tidewise.settings.schema import Settings, load_settings

Data = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="Folder that holds the state (default .tidewise).", show_default=False),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="TOML file with settings (default: tidewise.toml in the data folder).",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting of docs/settings.md, as `--set window.size=100`.",
        show_default=False,
    ),
]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Kafka's address(es), by commas.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]

screen = Console()
notes = Console(stderr=True)  # progress and remarks, so that standard output stays clean for pipes


def overrides_of(data: Path | None, given: Sequence[str] | None, **flags: object) -> dict[str, object]:
    """Settings by dotted name from `--data`, `--set` and other flags (None: not given)."""
    values: dict[str, object] = {"data.folder": str(data) if data else None}
    for entry in given or []:
        name, sign, value = entry.partition("=")
        if not sign or "." not in name:
            msg = f"--set: wanted SECTION.NAME=VALUE, got {entry!r}; docs/settings.md lists the names"
            raise InvalidSettings(msg)
        values[name.strip()] = value
    values.update({name.replace("__", "."): value for name, value in flags.items() if value is not None})
    return {name: value for name, value in values.items() if value is not None}


def settings_of(data: Path | None, config: Path | None, given: Sequence[str] | None, **flags: object) -> Settings:
    """The settings of this call."""
    return load_settings(config=config, overrides=overrides_of(data, given, **flags))


def as_arguments(overrides: Mapping[str, object], config: Path | None) -> list[str]:
    """The options that give a child process the same settings."""
    arguments = ["--config", str(config)] if config else []
    for name, value in overrides.items():
        if name.startswith("server."):
            continue  # of no use to a child that does not serve, and a key has no place on a command line
        arguments += ["--set", f"{name}={value}"]
    return arguments


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(document, ensure_ascii=False, default=str))
