"""Interactions: what POST /v1/interactions takes and answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.events.interactions import MAX_VALUE
from core.records.statuses import EventStatus
from serving.schemas.base import Id, Problem, Schema
from serving.schemas.openapi import ERRORS_404, document, parameter, path_parameter, reply


class EventIn(Schema):
    """One interaction."""

    user_id: Id
    """1-256 bytes of UTF-8."""
    item_id: Id
    """1-256 bytes of UTF-8. An item that is not in the catalogue is trained on, but not recommended."""
    type: str | None = None
    """One of the event types of the settings; by default `click`."""
    time: int | str | None = None
    """Event time in integer milliseconds since 1970 (UTC), or ISO 8601 (in UTC without an offset); by default now."""
    event_id: Id | None = None
    """Idempotency key: the same id sent again changes nothing. By default a hash of the content."""
    value: float | None = Field(None, ge=-MAX_VALUE, le=MAX_VALUE)
    """A rating, a price, a quantity."""
    context: dict[str, str | float | bool | None] | None = None
    """A small flat map of anything else."""
    recommendation_id: str | None = None
    """The `recommendation_id` of the answer that showed the item."""
    version: Literal[1] = 1
    """The version of this schema."""


class EventsIn(Schema):
    """Many interactions."""

    events: list[EventIn] = Field(min_length=1)


class Position(Schema):
    """The position of an event in the event log."""

    topic: str
    partition: int
    offset: int


class EventResult(Schema):
    """The outcome of one event."""

    status: Literal[
        EventStatus.ACCEPTED, EventStatus.QUEUED, EventStatus.DUPLICATE, EventStatus.ERASED, EventStatus.REJECTED
    ]
    """`queued`: durable in the event log, not yet applied by a worker; `duplicate`: stored before; `erased`: older than
    the erasure of its user; `rejected`: see `error`."""
    event_id: str | None = None
    """Its id: yours, or a generated one."""
    user_seq: int | None = None
    """The user's sequence number after the event; an answer with this `user_seq` or a higher one includes it."""
    position: Position | None = None
    """With an event log: its position there."""
    warning: str | None = None
    """Set where sending the event again would count it again."""
    error: Problem | None = None
    """Why it was rejected."""


class EventsOut(Schema):
    """The outcomes of the events, in the order sent. The events are durable."""

    accepted: int
    queued: int
    duplicate: int
    erased: int
    rejected: int
    results: list[EventResult]
    note: str | None = None
    """Set where workers did not apply the events within the timeout of `wait=applied`."""


class EventUndone(Schema):
    """The event was undone, by this request or an earlier one."""

    event_id: str
    status: Literal["undone"]


_EVENT = {"user_id": "u1", "item_id": "tent", "type": "click", "time": 1_700_000_000_000, "event_id": "web-1"}
_WAIT = (
    "With an event log: answer only when the next recommendation includes the events. Without a log, it always does."
)

POST_INTERACTIONS = document(
    EventsOut,
    tag="events",
    parameters=(parameter("wait", "string", _WAIT, enum=["applied"]),),
    bodies=(EventIn, EventsIn),
    examples={"one": _EVENT, "many": {"events": [_EVENT, {"user_id": "u1", "item_id": "stove"}]}},
)
DELETE_INTERACTION = document(EventUndone, tag="events", parameters=(path_parameter("event_id"),), errors=ERRORS_404)
POST_INTERACTIONS["responses"][202] = reply(EventsOut, description="The events are durable in the log, not applied.")
