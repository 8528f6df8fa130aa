"""The shapes of what people look at: users and their events, found items, dead letters, ingestion, activity.

For OpenAPI, as `serving.schemas.api` is.
"""

from __future__ import annotations

from typing import Any, Literal

from serving.schemas.api import ItemOut, Shape


class UserOut(Shape):
    """A user in a list."""

    user_id: str
    user_seq: int
    """The sequence number of their newest event."""
    newest_event: int | None
    """When the newest event that the model reads happened."""


class UserPage(Shape):
    """Some users in ascending id."""

    users: list[UserOut]
    next_after: str | None
    """Pass it as `after` for the next page; null on the last one."""


class UserEvent(Shape):
    """One event of a user."""

    item_id: str
    title: str
    categories: list[str]
    type: str
    time: int
    gap_ms: int | None
    """Since the event before it; null for the first of all."""
    user_seq: int
    value: float | None
    context: dict[str, Any] | None
    recommendation_id: str | None


class UserEvents(Shape):
    """What a user did, newest first."""

    user_id: str
    user_seq: int
    events: list[UserEvent]
    next_before: str | None
    """Pass it as `before` for the next page; null on the last one."""


class FoundItems(Shape):
    """What a search found."""

    items: list[ItemOut]
    matching: int
    """How many items match in all, with those that only events have named."""


class CategoryOut(Shape):
    """A category of the catalogue."""

    category: str
    items: int
    """How many of its items may be recommended."""


class CategoriesOut(Shape):
    """All categories by name."""

    categories: list[CategoryOut]


class LetterOut(Shape):
    """Input that was set aside."""

    key: int
    source: str
    """A topic, or a file."""
    partition: int
    offset: int
    """In a file: the line."""
    reason: str
    retries: int
    """How often it was retried in vain."""
    time: int
    payload: str | None = None
    payload_base64: str | None = None
    """Where the payload is no UTF-8."""
    retryable: bool
    """Whether this API can read it again; what came from a file is imported again from the file."""


class LettersOut(Shape):
    """The newest dead letters."""

    total: int
    dead_letters: list[LetterOut]


class LetterKeys(Shape):
    """Which letters."""

    keys: list[int] | None = None
    all: Literal[True] | None = None


class LettersRetried(Shape):
    """What became of retried letters."""

    letters: int
    settled: int
    """Letters that are gone, because all their events are applied."""
    accepted: int
    """Events that were new."""
    failed: int
    failures: list[LetterOut]
    """Those that stay, with their new reasons; at most 100."""


class LettersDiscarded(Shape):
    """Letters were deleted."""

    discarded: int


class WriterOut(Shape):
    """Who writes events into the database."""

    name: str
    """The topic, or the kind of writer."""
    partition: int
    applied_offset: int | None
    """Of a topic: the last message that was applied."""
    newest_event: int | None
    log_end: int | None
    """Of a topic: where it ends."""
    lag: int | None
    """Of a topic: messages that wait to be applied."""


class IngestionOut(Shape):
    """How far ingestion has got."""

    now: int
    log: str | None
    """The event log, where there is one."""
    lag: int | None
    """Messages that wait in all its partitions; null without a log, or while it is away."""
    problem: str | None
    """Why the log cannot say where it ends."""
    writers: list[WriterOut]
    waiting_events: int
    """Events (and other changes) that wait for this process's writer."""
    waiting_requests: int
    """Requests that wait for workers."""
    dead_letters: int


class Activity(Shape):
    """Columns of one length, oldest first."""

    time: list[int]
    """When the period ended, in milliseconds."""
    events_per_s: list[float]
    """Applied to the database, by whatever process."""
    answers_per_s: list[float]
    """Recommendations and rankings that this process gave."""
    answer_p50_ms: list[float | None]
    answer_p99_ms: list[float | None]
    applied_p50_ms: list[float | None]
    """From posting events to their being known to the next answer; null while none was posted to this process."""
    applied_p99_ms: list[float | None]
    waiting_events: list[int]


class ActivityOut(Shape):
    """The last hour."""

    period_ms: int
    samples: Activity
