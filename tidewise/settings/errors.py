"""Validation errors of settings as messages: the setting, its origin, what was wanted, what was got.

Independent of which settings exist. Values of secrets never appear in a message.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from core.events.interactions import shorten
from tidewise.settings.renamed import RENAMED
from tidewise.settings.section import field_at, leaf_names, names_below
from tidewise.settings.sources import Source, origin_of

PLAIN = (str, int, float, bool)


def explain(error: ValidationError, sources: Sequence[Source], table: type[BaseModel]) -> str:
    """All errors, one per line."""
    return "\n".join(_line(detail, sources, table) for detail in error.errors(include_url=False))


def _line(detail: ErrorDetails, sources: Sequence[Source], table: type[BaseModel]) -> str:
    path = detail["loc"]
    name = ".".join(str(part) for part in path)
    start = f"{name} ({origin_of(path, sources)}): " if name else ""
    if detail["type"] == "extra_forbidden":
        return f"{start}no such setting; {_advice(name, table)}"
    message = detail["msg"].removeprefix("Value error, ").removeprefix(f"{name}: ")
    expected = message.replace("Input should be ", "wanted ", 1)
    if detail["type"] in ("model_type", "dict_type"):
        expected = "wanted a table of named values"
    return start + expected + _got(detail, is_secret=is_secret(field_at(path, table)))


def _got(detail: ErrorDetails, *, is_secret: bool) -> str:
    shown = not is_secret and detail["type"] != "value_error" and isinstance(detail["input"], PLAIN)
    return f", got {shorten(detail['input'])}" if shown else ""


def _advice(name: str, table: type[BaseModel]) -> str:
    if name in RENAMED:
        return f"it is called {RENAMED[name]} since version 0.2"
    start, _, last = name.rpartition(".")
    if start and (fields := names_below(start.split("."), table)):
        near = [f"{start}.{field}" for field in difflib.get_close_matches(last, fields, n=1)]
    elif "." not in name:
        near = [f"the section {section}" for section in difflib.get_close_matches(name, table.model_fields, n=1)]
    else:
        near = []
    near = near or difflib.get_close_matches(name, leaf_names(table) if "." in name else (), n=1)
    return f"did you mean {near[0]}?" if near else "docs/settings.md lists every name"


def is_secret(field: FieldInfo | None) -> bool:
    """Whether values of a field are secret."""
    return field is not None and "SecretStr" in str(field.annotation)
