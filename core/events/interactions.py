"""Interactions: the event, the table of event types, and parsing and validation of input.

Independent of where events come from (HTTP, Kafka, files) and where they are stored.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import InvalidEvent, InvalidInput, InvalidSettings
from core.events.values import DISLIKED, ValueWeight, value_factor
from core.times import iso_ms

MAX_ID_BYTES = 256
MAX_CONTEXT_ENTRIES = 32
MAX_CONTEXT_CHARS = 1024
MAX_FIELD_CHARS = 64
SMALLEST_TIME_MS = 10**11  # 1973 in milliseconds, the year 5138 in seconds: a smaller time is in seconds
LARGEST_TIME_MS = 10**14  # the year 5138: arithmetic on later times could overflow 64 bits
MAX_VALUE = 1e15  # of an event, either way: sums of its squares stay far below the largest number
SCHEMA_VERSION = 1
_EMPTY_KEY = hashlib.blake2b(digest_size=16)


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type and its effect on a user's state.

    `window`: it enters the history that the encoder reads. `weight`: what it adds to popularity. `seen`: its item is
    excluded from this user's recommendations unless seen items are included. `hide`: its item is always excluded (a
    dislike), until a later event with `unhide` (a like). `negative`: it is negative feedback. `value_weight`: how its
    value scales the weight. `dislike_below`: with a lower value it is a dislike, with any other one it unhides.
    """

    name: str
    window: bool = True
    weight: float = 1.0
    seen: bool = True
    hide: bool = False
    negative: bool = False
    unhide: bool = False
    value_weight: ValueWeight = "none"
    dislike_below: float | None = None

    @property
    def disliked(self) -> EventType:
        """What an event of this type is where its value is below `dislike_below`."""
        return EventType(self.name, window=False, weight=0.0, seen=self.seen, hide=True, negative=True)

    @property
    def stored_shape(self) -> tuple[object, ...]:
        """What affects stored state; `unhide` affects none. Rules of values only where there are any."""
        rules = (self.value_weight, self.dislike_below)
        shape = (self.name, self.window, self.weight, self.seen, self.hide, self.negative)
        return shape if rules == ("none", None) else shape + rules


DEFAULT_EVENT_TYPES: tuple[EventType, ...] = (
    EventType("view"),
    EventType("click"),
    EventType("cart", weight=3.0),
    EventType("purchase", weight=5.0),
    EventType("rating"),
    EventType("like", weight=2.0, unhide=True),
    EventType("dislike", window=False, weight=0.0, hide=True, negative=True),
    EventType("impression", window=False, weight=0.0, seen=False),
)


@dataclass(frozen=True)
class EventTypes:
    """The event types of an installation. A type's code is its position in the table.

    An event is stored with its type's code, or with `DISLIKED` more where its value makes it a dislike: then `kinds`
    has another kind of event under that code, with the same name.
    """

    table: tuple[EventType, ...] = DEFAULT_EVENT_TYPES
    codes: Mapping[str, int] = field(init=False, repr=False, compare=False)
    kinds: Mapping[int, EventType] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = {kind.name: code for code, kind in enumerate(self.table)}
        if len(codes) != len(self.table) or not 0 < len(codes) <= DISLIKED:
            names = [kind.name for kind in self.table]
            msg = f"event types need unique names and between 1 and {DISLIKED} types, got {names}"
            raise InvalidSettings(msg)
        for kind in self.table:
            if not 0 <= kind.weight < math.inf:
                msg = f"event type {kind.name}: wanted a finite weight of at least 0, got {kind.weight}"
                raise InvalidSettings(msg)
        rated = {code: kind for code, kind in enumerate(self.table) if kind.dislike_below is not None}
        kinds = dict(enumerate(self.table)) | {code: replace(kind, unhide=True) for code, kind in rated.items()}
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "kinds", kinds | {code + DISLIKED: kind.disliked for code, kind in rated.items()})

    def code(self, name: str) -> int:
        """The code of a type; raises `InvalidEvent` for an unknown one."""
        try:
            return self.codes[name]
        except (KeyError, TypeError):
            msg = f"type: unknown event type {shorten(name)}; known types are {', '.join(self.codes)}"
            raise InvalidEvent(msg, field="type") from None

    def stored_code(self, code: int, value: float | None) -> int:
        """The code that an event of this type, or of its disliked kind, is stored with."""
        code %= DISLIKED
        below = self.table[code].dislike_below
        return code if below is None or value is None or value >= below else code + DISLIKED

    def name(self, code: int) -> str:
        """The name of the type of a stored event."""
        return self.kinds[code].name

    def weight(self, code: int, value: float | None) -> float:
        """What a stored event adds to the popularity of its item."""
        kind = self.kinds[code]
        return kind.weight if kind.value_weight == "none" else kind.weight * value_factor(kind.value_weight, value)

    def flagged(self, flag: str) -> tuple[int, ...]:
        """The codes, ascending, of stored events with this flag ("window", "seen", "hide", "unhide")."""
        return tuple(code for code, kind in self.kinds.items() if getattr(kind, flag))

    def digest(self) -> str:
        """A hash of what affects stored state; stored in the database to detect a change."""
        text = repr([kind.stored_shape for kind in self.table])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(slots=True)
class Interaction:
    """An event: a user interacted with an item. `time_ms`: event time, integer ms UTC.

    `event_id` is the idempotency key: an event with a known id changes nothing.
    """

    event_id: str
    user_id: str
    item_id: str
    type: str
    time_ms: int
    value: float | None = None
    context: Mapping[str, Any] | None = None
    recommendation_id: str | None = None

    @property
    def event_key(self) -> bytes:
        """The 16-byte hash of the event id, unique in the database."""
        return event_key_of(self.event_id)


def event_key_of(event_id: str) -> bytes:
    """The 16-byte hash of an event id. Continues a copy: that takes two thirds of the time of a new hash."""
    content = _EMPTY_KEY.copy()
    content.update(event_id.encode())
    return content.digest()


def shorten(value: object, limit: int = 60) -> str:
    """A value for a message: quoted and cut to `limit` characters; of a large or deep one no more is read."""
    text = ""
    for piece in _written(value, limit):
        text += piece
        if len(text) > limit:
            return text[: limit - 3] + "..."
    return text


def _written(value: object, limit: int) -> Iterator[str]:
    """The pieces of `repr(value)`, of texts only as much as is shown."""
    if isinstance(value, str | bytes):
        yield repr(value[: limit * 2])
    elif isinstance(value, int) and value.bit_length() > 1024:
        yield f"an integer of {value.bit_length()} bits"  # Python refuses to convert the longest ones
    elif type(value) is list:
        yield "["
        for index, entry in enumerate(value):
            yield ", " if index else ""
            yield from _written(entry, limit)
        yield "]"
    elif type(value) is dict:
        yield "{"
        for index, (name, entry) in enumerate(value.items()):
            yield ", " if index else ""
            yield from _written(name, limit)
            yield ": "
            yield from _written(entry, limit)
        yield "}"
    else:
        yield repr(value)


def field_name(name: object) -> str | None:
    """The name of an unknown field for an error's `field`; None unless it is text of at most 64 characters."""
    return name if isinstance(name, str) and len(name) <= MAX_FIELD_CHARS else None


def is_scalar(value: object) -> bool:
    """Whether a value is allowed in a context or an attribute: text, a finite 64-bit number, a boolean or None."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str) or (isinstance(value, float) and math.isfinite(value))


def check_id(name: str, value: object) -> str:
    """`value` as an identifier of 1-256 bytes of UTF-8 without control characters; raises `InvalidInput`."""
    if not isinstance(value, str):
        got = "nothing; add it" if value is None else f"{shorten(value)}; send numbers as strings"
        msg = f"{name}: wanted a string, got {got}"
        raise InvalidInput(msg, field=name)
    if value.isascii() and value.isprintable():
        size = len(value)
    else:
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in value[: MAX_ID_BYTES + 1]):
            msg = f"{name}: wanted no control characters, got {shorten(value)}; remove them"
            raise InvalidInput(msg, field=name)
        size = len(value.encode(errors="surrogatepass"))
    if not size:
        msg = f"{name}: wanted 1 to {MAX_ID_BYTES} bytes of UTF-8, got none; leave out entries without {name}"
        raise InvalidInput(msg, field=name)
    if size > MAX_ID_BYTES:
        msg = f"{name}: wanted 1 to {MAX_ID_BYTES} bytes of UTF-8, got {size} bytes; shorten or hash the identifier"
        raise InvalidInput(msg, field=name)
    return value


def check_time_ms(name: str, value: object) -> int:
    """`value` as integer milliseconds UTC; raises `InvalidInput` if it looks like seconds or is out of range.

    Texts are read as ISO 8601, in UTC unless they have an offset.
    """
    if isinstance(value, str) and (moment_ms := iso_ms(value)) is not None:
        if not SMALLEST_TIME_MS <= moment_ms <= LARGEST_TIME_MS:
            msg = f"{name}: wanted a time after 1973 and before 5138, got {shorten(value)}"
            raise InvalidInput(msg, field=name)
        value = moment_ms
    if isinstance(value, bool) or not isinstance(value, int):
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            return check_time_ms(name, int(value))
        wanted = "integer milliseconds since 1970 (UTC) or a time as 2022-06-24T21:20:11Z"
        msg = f"{name}: wanted {wanted}, got {shorten(value)}"
        raise InvalidInput(msg, field=name)
    if SMALLEST_TIME_MS <= value <= LARGEST_TIME_MS:
        return value
    if 0 <= value < SMALLEST_TIME_MS:
        msg = f"{name}: {value} looks like seconds; send milliseconds (multiply by 1000)"
    elif value < 0:
        msg = f"{name}: wanted a time after 1973, got {shorten(value)}; send milliseconds since 1970 (UTC)"
    else:
        msg = f"{name}: {shorten(value)} is too large for milliseconds; divide microseconds by 1000"
    raise InvalidInput(msg, field=name)


def check_value(value: object) -> float | None:
    """The optional `value` of an event (a rating, a price, a quantity): a number up to `MAX_VALUE` or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_VALUE:
        msg = f"value: wanted a number from -1e15 to 1e15, got {shorten(value)}; leave it out if there is none"
        raise InvalidInput(msg, field="value")
    return float(value)


def check_context(value: object) -> Mapping[str, Any] | None:
    """The optional `context` of an event: a small flat map of strings, numbers and booleans."""
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping) or len(value) > MAX_CONTEXT_ENTRIES:
        msg = f"context: wanted a map of at most {MAX_CONTEXT_ENTRIES} entries, got {shorten(value)}"
        raise InvalidInput(msg, field="context")
    size = 0
    for key, entry in value.items():
        if not isinstance(key, str) or not is_scalar(entry):
            msg = f"context: wanted strings, finite numbers or booleans, got {shorten(key)}: {shorten(entry)}"
            raise InvalidInput(msg, field="context")
        size += len(key) + len(str(entry))
    if size > MAX_CONTEXT_CHARS:
        msg = f"context: wanted at most {MAX_CONTEXT_CHARS} characters in all, got {size}; send only what you need"
        raise InvalidInput(msg, field="context")
    return dict(value)


def content_event_id(*, user_id: str, item_id: str, kind: str, time_ms: int, value: float | None) -> str:
    """The event id of an event with a time but without an id: a hash of its content, so that a retry counts once."""
    parts = (user_id, item_id, kind, str(time_ms), "" if value is None else repr(value))
    text = "\x1f".join(parts)
    return "h:" + hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


FIELDS = ("event_id", "user_id", "item_id", "type", "time", "value", "context", "recommendation_id", "version")


def parse_interaction(
    raw: object, *, types: EventTypes, now_ms: int, max_future_ms: int, new_id: str, default_type: str = "click"
) -> Interaction:
    """A decoded JSON object as an `Interaction`.

    `new_id`: the event id if the event has neither an id nor a time (a retry may then count twice). Raises
    `InvalidEvent`; the message begins with the invalid field.
    """
    if not isinstance(raw, Mapping):
        msg = f"event: wanted a JSON object, got {shorten(raw)}"
        raise InvalidEvent(msg, field="event")
    unknown = [name for name in raw if name not in FIELDS]
    if unknown:
        msg = f"{shorten(unknown[0])}: unknown field; known fields are {', '.join(FIELDS)}"
        raise InvalidEvent(msg, field=field_name(unknown[0]))
    try:
        return _parse(raw, types, now_ms, max_future_ms, new_id, default_type)
    except InvalidEvent:
        raise
    except InvalidInput as error:
        raise InvalidEvent(str(error), field=error.field) from None


def _parse(
    raw: Mapping[str, Any], types: EventTypes, now_ms: int, max_future_ms: int, new_id: str, default_type: str
) -> Interaction:
    version = raw.get("version")
    if version is not None and version != SCHEMA_VERSION:
        msg = f"version: wanted {SCHEMA_VERSION}, got {shorten(version)}"
        raise InvalidEvent(msg, field="version")
    user_id = check_id("user_id", raw.get("user_id"))
    item_id = check_id("item_id", raw.get("item_id"))
    kind = raw.get("type")
    if kind is None:
        kind = default_type
    types.code(kind)
    value = check_value(raw.get("value"))
    time = raw.get("time")
    time_ms = now_ms if time is None else check_time_ms("time", time)
    if time_ms > now_ms + max_future_ms:
        ahead_s = (time_ms - now_ms) / 1000
        msg = f"time: {time_ms} is {ahead_s:.0f} s in the future; correct the sender's clock and send it again"
        raise InvalidEvent(msg, field="time")
    event_id = raw.get("event_id")
    if event_id is not None:
        check_id("event_id", event_id)
    elif time is not None:
        event_id = content_event_id(user_id=user_id, item_id=item_id, kind=kind, time_ms=time_ms, value=value)
    else:
        event_id = new_id
    recommendation_id = raw.get("recommendation_id")
    if recommendation_id is not None:
        check_id("recommendation_id", recommendation_id)
    return Interaction(
        event_id, user_id, item_id, kind, time_ms, value, check_context(raw.get("context")), recommendation_id
    )
