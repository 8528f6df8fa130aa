"""Health, readiness, status and activity: what their routes answer."""

from __future__ import annotations

from typing import Literal

from serving.schemas.base import Schema
from serving.schemas.openapi import document, reply


class Health(Schema):
    """The process is alive."""

    status: Literal["alive"]
    version: str


class Check(Schema):
    """One condition of readiness."""

    ok: bool
    message: str | None = None
    version: str | None = None
    items: int | None = None
    revision: int | None = None


class Checks(Schema):
    """All conditions of readiness."""

    catalogue: Check
    database: Check
    model: Check


class Readiness(Schema):
    """Whether the process can serve traffic."""

    status: Literal["ready", "not ready"]
    checks: Checks


class ModelState(Schema):
    """The serving model."""

    serving: str | None
    champion: str | None
    created: int | None
    problem: str | None
    """Why the champion does not serve, if so."""


class IndexState(Schema):
    """The index of the serving model's item vectors."""

    items: int
    approximate: bool
    """Whether searches may miss items, as above 20,000 items."""
    recall: float | None
    """The share of the best 10 items that the approximate index found at its build; below 0.99 it does not serve."""


class StatusOut(Schema):
    """The contents of the database and the serving model."""

    version: str
    now: int
    newest_event: int | None
    users: int
    items: int
    listed_items: int
    """Items that may be recommended."""
    events: int
    dead_letters: int
    counted: int
    """When these were counted, in milliseconds."""
    catalogue_revision: int
    model: ModelState
    index: IndexState | None
    """None while no model serves."""


class Activity(Schema):
    """One list per field, with a value for each period, oldest first; of all processes. Latencies are within 5%."""

    time: list[int]
    """The end of the period, in milliseconds."""
    events_per_s: list[float | None]
    """Events applied to the database, by any process; null before the process that answers was started."""
    recommendations_per_s: list[float]
    """Recommendations and rankings served."""
    recommendation_p50_ms: list[float | None]
    recommendation_p99_ms: list[float | None]
    freshness_p50_ms: list[float | None]
    """From posting events until the next answer includes them; null where none were posted."""
    freshness_p99_ms: list[float | None]
    waiting_events: list[int]


class ActivityOut(Schema):
    """The activity of the last hour."""

    period_ms: int
    samples: Activity


_TAG = "operations"

GET_HEALTH = document(Health, tag=_TAG, errors=(403,), needs_key=False)
GET_READY = document(Readiness, tag=_TAG, errors=(403,), needs_key=False)
GET_READY["responses"][503] = reply(Readiness, description="Not ready; the checks say why.")
GET_STATUS = document(StatusOut, tag=_TAG)
GET_ACTIVITY = document(ActivityOut, tag=_TAG)
