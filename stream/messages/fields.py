"""Foreign JSON to our field names: dotted paths, renamed types, other units of time.

An event that bears our version and nothing but our names is ours, whatever the mapping says: the API and replays write
into the same topic as foreign producers do. Without a mapping events must use our names, and unknown fields are
refused, so that a typing error is noticed. With one, only mapped fields and those that already bear our names are read.
Knows nothing about Kafka.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidEvent, InvalidSettings
from core.interactions import FIELDS, SCHEMA_VERSION, shorten

IDS = ("event_id", "user_id", "item_id", "recommendation_id")
MS_PER_UNIT = {"s": 1_000, "ms": 1}
UNITS_PER_MS = {"us": 1_000, "ns": 1_000_000}


@dataclass(frozen=True)
class FieldMap:
    """Where our fields stand in foreign events.

    `paths`: our name -> dotted path ("payload.user.id"). `types`: foreign type name -> ours. `time_unit`: "s", "ms",
    "us" or "ns". Identifiers that are numbers become strings.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "ms"

    def __post_init__(self) -> None:
        unknown = [name for name in self.paths if name not in FIELDS]
        if unknown:
            msg = f"kafka.fields: unknown field {unknown[0]!r}; fields are {', '.join(FIELDS)}"
            raise InvalidSettings(msg)
        if self.time_unit not in MS_PER_UNIT | UNITS_PER_MS:
            msg = f"kafka.time_unit: wanted s, ms, us or ns, got {self.time_unit!r}"
            raise InvalidSettings(msg)

    def apply(self, payload: object) -> Mapping[str, Any]:
        """The payload under our names; raises `InvalidEvent` for anything but an object."""
        if not isinstance(payload, Mapping):
            msg = f"event: wanted a JSON object, got {shorten(payload)}"
            raise InvalidEvent(msg, field="event")
        if not (self.paths or self.types or self.time_unit != "ms") or _is_ours(payload):
            return payload
        found = {name: _at(payload, self.paths.get(name, name)) for name in FIELDS} if self.paths else dict(payload)
        for name in IDS:
            if isinstance(found.get(name), int) and not isinstance(found[name], bool):
                found[name] = str(found[name])
        kind = found.get("type")
        if isinstance(kind, str):
            found["type"] = self.types.get(kind, kind)
        found["time"] = self._in_ms(found.get("time"))
        return {name: value for name, value in found.items() if value is not None}

    def _in_ms(self, time: object) -> object:
        """A time in milliseconds; what is no number is left for validation to refuse."""
        if isinstance(time, bool) or not isinstance(time, int | float):
            return time
        if self.time_unit in MS_PER_UNIT:
            return round(time * MS_PER_UNIT[self.time_unit])
        return int(time // UNITS_PER_MS[self.time_unit])


def _is_ours(payload: Mapping[str, Any]) -> bool:
    return payload.get("version") == SCHEMA_VERSION and "event_id" in payload and payload.keys() <= set(FIELDS)


def _at(payload: Mapping[str, Any], path: str) -> object:
    """The value at a dotted path; None where the path ends early. A key that holds the dots itself comes first."""
    if path in payload:
        return payload[path]
    value: object = payload
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
