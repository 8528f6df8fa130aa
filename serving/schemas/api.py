"""The shapes of bodies and answers, for OpenAPI.

Documentation, not machinery: the hot path neither parses nor validates with these models. Tests hold every real answer
against them, so that they cannot drift.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """What all shapes share: unknown fields forbidden, the sentence below a field describes it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Problem(Shape):
    """Why something was refused."""

    code: str
    """A stable word for programs."""
    message: str
    """What was wanted, what was got, what to do, for people."""
    field: str | None = None
    """The field at fault."""
    details: list[Any] | None = None
    """For several entries: each one's problem, in the order given."""


class ErrorReply(Shape):
    """Every failure has this shape."""

    error: Problem


class EventIn(Shape):
    """One interaction."""

    user_id: str = Field(min_length=1)
    """1-256 bytes of UTF-8."""
    item_id: str = Field(min_length=1)
    """1-256 bytes of UTF-8; an item that the catalogue does not know is learnt from, but not recommended."""
    type: str | None = None
    """One of the event types of the settings; by default `click`."""
    time: int | None = None
    """When it happened, in integer milliseconds since 1970 (UTC); by default now."""
    event_id: str | None = None
    """Names the event for ever: the same id sent again changes nothing. By default a hash of the content."""
    value: float | None = None
    """A rating, a price, a quantity."""
    context: dict[str, str | float | bool | None] | None = None
    """A small flat map of anything else."""
    recommendation_id: str | None = None
    """Of the answer that showed the item."""
    version: Literal[1] = 1
    """Of this shape."""


class EventsIn(Shape):
    """Many interactions."""

    events: list[EventIn]


class Position(Shape):
    """Where an event stands in the event log."""

    topic: str
    partition: int
    offset: int


class EventResult(Shape):
    """What became of one event."""

    status: Literal["accepted", "queued", "duplicate", "erased", "rejected"]
    """`queued`: safe in the event log, to be applied by a worker; `duplicate`: stored before; `erased`: of the time
    before its user was erased; `rejected`: see `error`."""
    event_id: str | None = None
    """Its id: yours, or the one it was given."""
    user_seq: int | None = None
    """The sequence number of its user after it; answers carry theirs, so that you see what they know."""
    position: Position | None = None
    """With an event log: its place there."""
    warning: str | None = None
    """Where sending it again would count it again."""
    error: Problem | None = None
    """Why it was rejected."""


class EventsOut(Shape):
    """What became of the events, in the order given. They are safe when you read this."""

    accepted: int
    queued: int
    duplicate: int
    erased: int
    rejected: int
    results: list[EventResult]
    note: str | None = None
    """Where workers did not apply the events in the time that a request waits."""


class Contribution(Shape):
    """An event that a recommended item leans on."""

    item_id: str
    title: str
    time: int
    share: float
    """Of all that speaks for the item, 0 to 1."""


class RecommendedItem(Shape):
    """One item of an answer."""

    item_id: str
    title: str
    categories: list[str]
    score: float | None
    """Comparable within one answer only; null where nothing is known to score it by."""
    because: list[Contribution] | None = None
    """With `explain=full`: the events that it leans on, strongest first; none where the model has no part in it."""


class AnswerOut(Shape):
    """A ranked list, and why it is this one."""

    user_id: str | None = None
    """Whom was asked for."""
    item_id: str | None = None
    """What was asked about."""
    recommendation_id: str
    """Send it back with what the user does next."""
    items: list[RecommendedItem]
    source: Literal["model", "popularity", "similarity", "latest"]
    reason: str
    """Why this source, in words."""
    model_version: str | None
    user_seq: int | None
    """The sequence number of the newest event that the answer knows."""
    gap_ms: int | None
    """From the newest event to `now`; null without a history."""
    age_ms: int | None
    """How long ago the newest event happened; other than `gap_ms` only where `at` was given."""
    now: int
    """The moment that the answer is for, in milliseconds."""
    left_out: list[str] | None = None
    """Ranking only: asked-for items that cannot be shown (unknown, hidden, removed)."""


class SessionEventIn(Shape):
    """One event of an anonymous session."""

    item_id: str
    time: int | None = None
    """In milliseconds; by default now."""


class NumberRange(Shape):
    """Numbers, both ends included; one of them may be left out."""

    min: float | None = None
    max: float | None = None


Condition = str | float | bool | NumberRange


class SessionIn(Shape):
    """A session and what is wished for."""

    user_id: str | None = None
    """As if the events were this user's next ones; by default the session is anonymous."""
    events: list[SessionEventIn] = []
    n: int = 10
    category: str | None = None
    where: dict[str, Condition | list[Condition]] = {}
    """By attribute what an item has to have: a value, a range, or several of which one will do."""
    exclude: list[str] = []
    seen: Literal["exclude", "include"] | None = None
    explain: Literal["full"] | None = None
    at: int | None = None


class RankIn(Shape):
    """Items to rank."""

    item_ids: list[str]
    at: int | None = None


class ItemIn(Shape):
    """One catalogue item."""

    item_id: str | None = None
    """1-256 bytes of UTF-8; with PUT the path says it."""
    title: str | None = None
    text: str | None = None
    """What the item is about: the model reads title and text."""
    categories: list[str] | None = None
    attributes: dict[str, str | float | bool | None] | None = None
    hidden: bool = False
    """Take it out of every answer, at once."""


class ItemsIn(Shape):
    """Many catalogue items."""

    items: list[ItemIn]


class ItemResult(Shape):
    """What became of one item."""

    status: Literal["accepted", "rejected"]
    item_id: str | None = None
    error: Problem | None = None


class ItemsOut(Shape):
    """What became of the items, in the order given."""

    revision: int
    accepted: int
    rejected: int
    results: list[ItemResult]


class ItemSaved(Shape):
    """An item was stored."""

    item_id: str
    status: Literal["accepted"]
    revision: int
    """The revision of the catalogue that holds the change."""


class ItemOut(Shape):
    """An item as stored."""

    item_id: str
    title: str
    text: str
    categories: list[str]
    attributes: dict[str, Any]
    hidden: bool
    revision: int
    updated: int
    """When it was last changed, in milliseconds."""


class ItemPage(Shape):
    """Some items in ascending id."""

    items: list[ItemOut]
    next_after: str | None
    """Pass it as `after` for the next page; null on the last one."""


class ItemRemoved(Shape):
    """An item was taken out of the catalogue."""

    item_id: str
    status: Literal["removed"]


class UserErased(Shape):
    """Everything about a user is deleted."""

    user_id: str
    status: Literal["erased"]


class ModelOut(Shape):
    """A model version."""

    version: str
    status: Literal["challenger", "champion", "retired", "refused", "lapsed"]
    created: int
    kept: bool
    """Whether its files are still there, so that it could serve."""
    lineage: dict[str, Any]
    """Where it comes from and what became of it: parent, data, metrics, verdicts."""


class PromotionOut(Shape):
    """A change of the model that serves."""

    version: str
    previous: str | None
    """What served before; null for popularity."""
    kind: Literal["promotion", "rollback"]
    decided_by: str
    reason: str
    time: int


class ModelsOut(Shape):
    """All model versions and every change of what serves, newest first."""

    serving: str | None
    """What this process answers with at the moment."""
    models: list[ModelOut]
    promotions: list[PromotionOut]


class PromoteIn(Shape):
    """Why, and whether even a refused version may serve."""

    reason: str = ""
    force: bool = False


class RollbackIn(Shape):
    """Why."""

    reason: str = ""


class Health(Shape):
    """The process lives."""

    status: Literal["alive"]
    version: str


class Check(Shape):
    """One condition of readiness."""

    ok: bool
    message: str | None = None
    version: str | None = None
    items: int | None = None
    revision: int | None = None


class Checks(Shape):
    """All of them."""

    catalogue: Check
    database: Check
    model: Check


class Readiness(Shape):
    """Whether requests are answered as they should be."""

    status: Literal["ready", "not ready"]
    checks: Checks


class ModelStatus(Shape):
    """What serves."""

    serving: str | None
    champion: str | None
    created: int | None
    problem: str | None
    """Why the champion does not serve, where it does not."""


class StatusOut(Shape):
    """What the system holds."""

    version: str
    now: int
    newest_event: int | None
    users: int
    items: int
    listed_items: int
    events: int
    dead_letters: int
    counted: int
    catalogue_revision: int
    model: ModelStatus
