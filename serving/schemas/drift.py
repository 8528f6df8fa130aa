"""The shapes of what is told of interest and its drift, for OpenAPI; as `serving.schemas.api`, documentation alone."""

from __future__ import annotations

from typing import Literal

from serving.schemas.api import Shape


class InterestBucket(Shape):
    """What a user turned to in one stretch of time."""

    start: int
    """Its beginning, in milliseconds."""
    events: int
    shares: dict[str, float]
    """Of these events, by topic."""


class InterestHistory(Shape):
    """What a user turned to over time; stretches without events are left out."""

    bucket_ms: int
    """The length of each stretch: an hour up to a year, so that there are at most 30."""
    buckets: list[InterestBucket]


class InterestDrift(Shape):
    """Whether a user's interest moved, by a test over their visits that is wrong as often as the settings allow."""

    found: bool
    """Whether `score` is above `threshold`."""
    score: float | None
    """The share of users with an unmoved interest whose visits look less like a move; null: too few visits to tell."""
    threshold: float
    explanation: str
    """For people."""
    since: int | None
    """The time of the first event after the move; null, as all below, where none was found."""
    distance: float | None
    """How much of what the user turns to is another: 0 to 1."""
    origin: list[str] | None
    """The topics that lost."""
    target: list[str] | None
    """The topics that gained."""
    events_since: int | None
    events_to_target: int | None


class InterestOut(Shape):
    """What a user turns to, lately and on the whole, and how it moved."""

    user_id: str
    user_seq: int
    """The sequence number of the newest event that it knows."""
    events: int
    """From how many of the newest events it is told."""
    topics: list[str]
    """Categories of items, the strongest first; at most 12."""
    short_term: dict[str, float]
    """Shares by topic; what is missing to 1 went to other topics."""
    long_term: dict[str, float]
    history: InterestHistory
    drift: InterestDrift


class AlarmOut(Shape):
    """A change that was noticed."""

    id: str
    signal: str
    """As in `signals`."""
    segment: str | None
    """Where only a part is concerned, as `category=Tea`."""
    detected: int
    onset: int
    """When it probably began."""
    before: float
    """The signal before the onset."""
    after: float
    cause: str
    """What else is known, for people."""
    model_version: str | None
    """The champion of that time."""
    status: Literal["open", "followed"]
    """`followed`: a model made after it serves."""
    sent: int | None
    """When the webhook took it."""


class SignalPoint(Shape):
    """A signal over one stretch of time."""

    start: int
    end: int
    events: int
    """How many events it was read from."""
    value: float
    expected: float | None
    """For that hour of that weekday, as far as it is known."""


class SignalOut(Shape):
    """A signal over time."""

    name: str
    segment: str | None
    points: list[SignalPoint]


class DriftOut(Shape):
    """What the monitor found."""

    now: int
    seen_to: int | None
    """Up to which event time it has read; null before its first reading."""
    monitor: str | None
    """Who monitors; null where nobody does."""
    alarms: list[AlarmOut]
    """The newest first."""
    signals: list[SignalOut]


class MixStretch(Shape):
    """How many events of each category there were in one stretch of time."""

    start: int
    events: dict[str, int]


class CategoryMix(Shape):
    """How events spread over categories, over time."""

    stretch_ms: int
    """The length of each stretch: the shortest of which at most 40 cover the days asked for."""
    categories: list[str]
    """The strongest first; those that are counted together are named together."""
    stretches: list[MixStretch]
    """The oldest first; those without events are left out."""
