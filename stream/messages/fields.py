"""Maps the fields of foreign events to Tidewise's: dotted paths, renamed event types, units of time.

An event with Tidewise's schema version and only its field names is never mapped: the API and replays write into the
same topic as foreign producers. Without a mapping events must use Tidewise's names, and unknown fields are rejected, so
that a typing error is noticed. With a mapping, only mapped fields and those with Tidewise's names are read.
Independent of Kafka.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidEvent, InvalidSettings
from core.events.foreign_fields import value_at
from core.events.interactions import FIELDS, SCHEMA_VERSION, shorten
from core.times import MS_PER_UNIT, in_ms

IDS = ("event_id", "user_id", "item_id", "recommendation_id")


@dataclass(frozen=True)
class FieldMap:
    """The mapping of foreign events.

    `paths`: field name -> dotted path ("payload.user.id"). `types`: foreign event type -> ours. `time_unit`: "s", "ms",
    "us" or "ns". Numeric identifiers become strings.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "ms"

    def __post_init__(self) -> None:
        unknown = [name for name in self.paths if name not in FIELDS]
        if unknown:
            msg = f"kafka.fields: unknown field {unknown[0]!r}; fields are {', '.join(FIELDS)}"
            raise InvalidSettings(msg)
        if self.time_unit not in MS_PER_UNIT:
            msg = f"kafka.time_unit: wanted s, ms, us or ns, got {self.time_unit!r}"
            raise InvalidSettings(msg)

    def apply(self, payload: object) -> Mapping[str, Any]:
        """The payload with Tidewise's field names; raises `InvalidEvent` where it is no JSON object."""
        if not isinstance(payload, Mapping):
            msg = f"event: wanted a JSON object, got {shorten(payload)}"
            raise InvalidEvent(msg, field="event")
        if not (self.paths or self.types or self.time_unit != "ms") or _is_native(payload):
            return payload
        event = (
            {name: value_at(payload, self.paths.get(name, name)) for name in FIELDS} if self.paths else dict(payload)
        )
        for name in IDS:
            if isinstance(event.get(name), int) and not isinstance(event[name], bool):
                event[name] = str(event[name])
        event_type = event.get("type")
        if isinstance(event_type, str):
            event["type"] = self.types.get(event_type, event_type)
        event["time"] = self._in_ms(event.get("time"))
        return {name: value for name, value in event.items() if value is not None}

    def _in_ms(self, time: object) -> object:
        """A time in milliseconds; anything but a finite number is left for validation to read or reject."""
        if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
            return time
        return in_ms(time, self.time_unit)


def _is_native(payload: Mapping[str, Any]) -> bool:
    return payload.get("version") == SCHEMA_VERSION and "event_id" in payload and payload.keys() <= set(FIELDS)
