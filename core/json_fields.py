"""Reads the fields of a definition in JSON or TOML; every error is `InvalidInput` and names the field that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from core.errors import InvalidInput
from core.events.interactions import field_name, shorten

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
MAX_DESCRIPTION_CHARS = 500


def check_name(name: str) -> str:
    """The name of a definition: lower case, digits, "-" and "_"; raises `InvalidInput`."""
    if not NAME.fullmatch(name):
        msg = f"name: wanted 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit, got {shorten(name)}"
        raise InvalidInput(msg, field="name")
    return name


def object_fields(raw: object, field: str, known: Sequence[str], *, required: Sequence[str] = ()) -> dict[str, Any]:
    """A copy of an object that has all required fields and no unknown ones; a null is left out."""
    if not isinstance(raw, Mapping):
        msg = f"{field}: wanted an object with {', '.join(known)}, got {shorten(raw)}"
        raise InvalidInput(msg, field=field)
    for name in raw:
        if name not in known:
            msg = f"{shorten(name)}: unknown field of {field}; known fields are {', '.join(known)}"
            raise InvalidInput(msg, field=field_name(name))
    values = {name: value for name, value in raw.items() if value is not None}
    missing = [name for name in required if name not in values]
    if missing:
        msg = f"{field}.{missing[0]}: wanted a value, got none"
        raise InvalidInput(msg, field=f"{field}.{missing[0]}")
    return values


def entries(values: Mapping[str, Any], field: str, limit: int) -> list[tuple[object, str]]:
    """The entries of a list and the field of each, such as `boosts[0]`."""
    raw = values.get(field, [])
    if not isinstance(raw, list | tuple) or len(raw) > limit:
        msg = f"{field}: wanted a list of at most {limit} objects, got {shorten(raw)}"
        raise InvalidInput(msg, field=field)
    return [(entry, f"{field}[{place}]") for place, entry in enumerate(raw)]


def choice(values: Mapping[str, Any], field: str, known: Sequence[str], default: str | None) -> str | None:
    """The value of a field that is one of some texts, or its default."""
    value = values.get(field, default)
    if value is not default and value not in known:
        msg = f"{field}: wanted {', '.join(known[:-1])} or {known[-1]}, got {shorten(value)}"
        raise InvalidInput(msg, field=field)
    return cast("str | None", value)


def whole_number(value: object, field: str, high: int) -> int:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
        msg = f"{field}: wanted a whole number from 1 to {high}, got {shorten(value)}"
        raise InvalidInput(msg, field=field)
    return value


def optional_number(values: Mapping[str, Any], name: str, *, prefix: str = "", low: float, high: float) -> float | None:
    """A number, or None where the field is missing."""
    return number(values[name], prefix + name, low=low, high=high) if name in values else None


def number(value: object, field: str, *, low: float, high: float) -> float:
    """A finite number in a range."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= cast(float, value) <= high:
        msg = f"{field}: wanted a number from {low:g} to {high:g}, got {shorten(value)}"
        raise InvalidInput(msg, field=field)
    return float(cast(float, value))


def check_description(value: object) -> None:
    """A description is text of limited length."""
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_DESCRIPTION_CHARS):
        msg = f"description: wanted text of at most {MAX_DESCRIPTION_CHARS} characters, got {shorten(value)}"
        raise InvalidInput(msg, field="description")
