"""Decodes Kafka messages into interactions, and encodes interactions.

A message carries one event, or an array of events whose users all belong to its partition. An invalid event becomes a
dead letter with its reason and position; it never stops the stream, and valid events of the same array are kept.
Independent of Faust and databases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.clock import HOUR_MS, Clock, WallClock
from core.errors import InvalidEvent
from core.events.interactions import SCHEMA_VERSION, EventTypes, Interaction, parse_interaction, shorten
from core.records.stored import DeadLetter
from stream.messages.fields import FieldMap
from stream.messages.partitioning import UserPartitions, partition_of

MAX_PAYLOAD_BYTES = 1 << 20  # a longer payload is cut in its dead letter, whose reason says so
MAX_EVENTS_PER_MESSAGE = 10_000


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message as received."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None = None
    dead_letter_key: int | None = None  # of the dead letter that it was restored from

    @property
    def position(self) -> str:
        """Topic, partition and offset, for log lines."""
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(slots=True)
class Decoded:
    """The content of messages of one partition. `offsets`: for each event the offset of its message."""

    events: list[Interaction] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)


@dataclass(frozen=True)
class Codec:
    """Decodes messages of one topic.

    `partitions`: events of users of other partitions are rejected; None accepts any (for producers with their own
    partitioner, which must still keep each user in one partition).
    """

    types: EventTypes = field(default_factory=EventTypes)
    fields: FieldMap = field(default_factory=FieldMap)
    clock: Clock = field(default_factory=WallClock)
    partitions: UserPartitions | None = None
    max_future_ms: int = HOUR_MS
    default_type: str = "click"

    def decode(self, message: Message, into: Decoded) -> None:
        """Add the events and dead letters of the message."""
        try:
            payloads = _payloads(message.value)
        except InvalidEvent as error:
            into.dead_letters.append(self.dead_letter(message, str(error), message.value or b""))
            return
        for index, payload in enumerate(payloads):
            try:
                event = self._event(message, index, payload)
            except InvalidEvent as error:
                raw = message.value if len(payloads) == 1 else _encoded(payload)
                into.dead_letters.append(self.dead_letter(message, str(error), raw or b""))
            else:
                into.events.append(event)
                into.offsets.append(message.offset)

    def decode_dead_letter(self, dead_letter: DeadLetter) -> tuple[list[Interaction], list[str]]:
        """The events of a dead letter by the present settings, and the reasons why some are still invalid.

        An event without a time gets the time at which it was dead-lettered.
        """
        message = Message(
            dead_letter.source,
            dead_letter.partition,
            dead_letter.offset,
            key=None,
            value=dead_letter.payload,
            timestamp_ms=dead_letter.time_ms,
            dead_letter_key=dead_letter.key,
        )
        decoded = Decoded()
        self.decode(message, decoded)
        return decoded.events, [rejected.reason for rejected in decoded.dead_letters]

    def dead_letter(self, message: Message, reason: str, payload: bytes) -> DeadLetter:
        """A dead letter of this message; a payload above a mebibyte is cut."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            reason = f"{reason} (the payload of {len(payload)} bytes is cut to its first {MAX_PAYLOAD_BYTES})"
            payload = payload[:MAX_PAYLOAD_BYTES]
        return DeadLetter(
            source=message.topic,
            partition=message.partition,
            offset=message.offset,
            reason=reason,
            payload=payload,
            time_ms=self.clock.now_ms(),
        )

    def _event(self, message: Message, index: int, payload: object) -> Interaction:
        raw = self.fields.apply(payload)
        if raw.get("time") is None:
            raw = _timed_by_log(raw, message, index)
        event = parse_interaction(
            raw,
            types=self.types,
            now_ms=self.clock.now_ms(),
            max_future_ms=self.max_future_ms,
            new_id=_position_id(message, index),
            default_type=self.default_type,
        )
        if self.partitions is not None and not self.partitions.include(event.user_id, message.partition):
            count = self.partitions.counts[0]
            partition = partition_of(event.user_id, num_partitions=count)
            msg = (
                f"user_id: {shorten(event.user_id)} belongs to partition {partition} of {count}, but "
                f"came in {message.partition}; send with the user id as key, hashed by Kafka's murmur2"
            )
            raise InvalidEvent(msg, field="user_id")
        return event


def encode(event: Interaction) -> bytes:
    """An event as JSON with Tidewise's field names; absent fields are left out."""
    fields = {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "type": event.type,
        "time": event.time_ms,
        "value": event.value,
        "context": event.context,
        "recommendation_id": event.recommendation_id,
        "version": SCHEMA_VERSION,  # marks Tidewise's own events, see stream.messages.fields
    }
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


def encode_many(events: Sequence[Interaction]) -> bytes:
    """Several events as one message's value."""
    return b"[" + b",".join(map(encode, events)) + b"]"


def _encoded(payload: object) -> bytes:
    """An entry of an array as it is kept in a dead letter; of one that is nested too deep to be written, what it is."""
    try:
        return orjson.dumps(payload)
    except orjson.JSONEncodeError:
        return orjson.dumps(shorten(payload))


def _position_id(message: Message, index: int) -> str:
    """An event id from the position in the log, so that a redelivered event without an id is a duplicate.

    The timestamp distinguishes it from the event at this position of a topic that was deleted and created again. A
    dead letter may hold one element of an array, whose index is lost: its key makes the id unique.
    """
    suffix = "" if message.dead_letter_key is None else f":letter-{message.dead_letter_key}"
    timestamp = "" if message.timestamp_ms is None else f"@{message.timestamp_ms}"
    return f"k:{message.topic}:{message.partition}:{message.offset}:{index}{timestamp}{suffix}"


def _timed_by_log(raw: Mapping[str, Any], message: Message, index: int) -> Mapping[str, Any]:
    """The log's timestamp for an event without a time, so that a redelivery gets the same time."""
    if message.timestamp_ms is None or message.timestamp_ms <= 0:
        return raw
    timed = {**raw, "time": message.timestamp_ms}
    if timed.get("event_id") is None:
        timed["event_id"] = _position_id(message, index)
    return timed


def _payloads(value: bytes | None) -> list[object]:
    """The JSON values of one message: itself, or the elements of its array."""
    if value is None:
        msg = "value: wanted an event as JSON, got null; to erase a user call the API (tombstones are not supported)"
        raise InvalidEvent(msg, field="value")
    try:
        decoded = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        msg = f"value: wanted JSON in UTF-8, got {len(value)} bytes that are not: {error}; they begin {shorten(value)}"
        raise InvalidEvent(msg, field="value") from None
    if not isinstance(decoded, list):
        return [decoded]
    if not 1 <= len(decoded) <= MAX_EVENTS_PER_MESSAGE:
        msg = f"value: wanted 1 to {MAX_EVENTS_PER_MESSAGE} events in an array, got {len(decoded)}; send smaller arrays"
        raise InvalidEvent(msg, field="value")
    return decoded
