"""What the commands of scenarios, experiments and segments share: reading a definition, and printing a change."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from core.errors import InvalidInput, plain_reason
from core.records.stored import DefinitionRevision
from core.times import second_text
from tidewise.commands.options import print_json, screen


def read_definition(file: Path) -> dict[str, Any]:
    """A definition from a file, or `-`: JSON from stdin; raises `InvalidInput`."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        definition = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        msg = f"{file}: wanted a readable definition in JSON or TOML, got: {plain_reason(error)}"
        raise InvalidInput(msg) from None
    if not isinstance(definition, dict):
        msg = f"{file}: wanted an object with the fields of a definition; docs/api.md lists them"
        raise InvalidInput(msg)
    return definition


def print_change(change: DefinitionRevision, json_: bool) -> None:
    """Print a change for people, or as JSON."""
    if json_:
        from serving.schemas.definitions import revision_out

        print_json(revision_out(change))
    else:
        screen.print(change_line(change), markup=False, highlight=False, soft_wrap=True)


def change_line(change: DefinitionRevision) -> str:
    """A change as a line."""
    what = "deleted" if change.definition is None else "stored"
    return f"revision {change.revision}  {what} {second_text(change.time_ms)}, by {change.author}"
