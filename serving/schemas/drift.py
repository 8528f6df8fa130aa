"""Drift: what the routes of alarms, signals and the category mix answer."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Literal

from core.drift.mix import Mix
from core.drift_records import Alarm, Point
from core.records import ModelRecord
from serving.schemas.base import Schema
from serving.schemas.openapi import document, limit_parameter, parameter


class AlarmOut(Schema):
    """A detected change of a signal."""

    id: str
    signal: str
    """As in `signals`."""
    segment: str | None
    """The affected part, as `category=Tea`; null for all events."""
    detected: int
    onset: int
    """When the change probably began."""
    before: float
    """The signal before the onset."""
    after: float
    cause: str
    """Probable causes, for people."""
    model_version: str | None
    """The champion at that time."""
    status: Literal["open", "retrained"]
    """`retrained`: a model trained after the alarm serves."""
    sent: int | None
    """When the webhook accepted it."""


class SignalPoint(Schema):
    """A signal in one time bucket."""

    start: int
    end: int
    events: int
    """How many events it is computed from."""
    value: float
    expected: float | None
    """The baseline for that hour of that weekday, once known."""


class SignalOut(Schema):
    """A signal over time."""

    name: str
    segment: str | None
    points: list[SignalPoint]


class DriftOut(Schema):
    """The monitor's alarms and signals."""

    now: int
    monitored_through: int | None
    """The event time up to which the monitor has read; null before its first read."""
    monitor: str | None
    """The process that holds the monitor's lease; null where none does."""
    alarms: list[AlarmOut]
    """Newest first."""
    signals: list[SignalOut]


class CategoryMixBucket(Schema):
    """Events by category in one time bucket."""

    start: int
    events: dict[str, int]


class CategoryMix(Schema):
    """The mix of categories over time."""

    bucket_ms: int
    """The length of a bucket: the shortest with which at most 40 cover the requested days."""
    categories: list[str]
    """Largest first; categories that are counted together are named together."""
    buckets: list[CategoryMixBucket]
    """Oldest first; buckets without events are omitted."""


def category_mix(mix: Mix) -> dict[str, object]:
    """A mix as `CategoryMix`."""
    return {
        "bucket_ms": mix.length_ms,
        "categories": mix.categories,
        "buckets": [{"start": bucket.start_ms, "events": dict(bucket.events)} for bucket in mix.periods],
    }


def signals_out(points: list[Point]) -> list[dict[str, Any]]:
    """Points, ordered by signal and segment, as `SignalOut`s."""
    return [
        {"name": name, "segment": segment or None, "points": [_point(point) for point in group]}
        for (name, segment), group in groupby(points, lambda point: (point.signal, point.segment))
    ]


def alarm_out(alarm: Alarm, champion: ModelRecord | None) -> dict[str, object]:
    """An alarm as `AlarmOut`: `retrained` once a champion serves that was trained after it.

    Both are required: on the stream's clock a replay's alarms lie before all models; a rollback serves an older one.
    """
    retrained = (
        champion is not None and champion.version != alarm.model_version and champion.created_ms > alarm.detected_ms
    )
    return {
        "id": alarm.alarm_id,
        "signal": alarm.signal,
        "segment": alarm.segment or None,
        "detected": alarm.detected_ms,
        "onset": alarm.onset_ms,
        "before": alarm.before,
        "after": alarm.after,
        "cause": alarm.cause,
        "model_version": alarm.model_version,
        "status": "retrained" if retrained else "open",
        "sent": alarm.sent_ms,
    }


def _point(point: Point) -> dict[str, object]:
    return {
        "start": point.start_ms,
        "end": point.end_ms,
        "events": point.num,
        "value": point.value,
        "expected": point.expected,
    }


_TAG = "operations"

GET_DRIFT_CATEGORIES = document(
    CategoryMix,
    tag=_TAG,
    parameters=(
        parameter("days", "integer", "How many days before the newest event.", minimum=1, maximum=3650, default=30),
    ),
)
GET_DRIFT = document(
    DriftOut,
    tag=_TAG,
    parameters=(
        limit_parameter("How many alarms."),
        parameter("days", "integer", "How many days of signals.", minimum=1, maximum=3650, default=30),
    ),
)
