"""Drift: what the route of alarms and signals answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal

from core.drift.words import headline
from core.records.drift import Alarm, Point
from core.records.stored import ModelRecord, Promotion
from serving.schemas.base import Schema
from serving.schemas.openapi import document, limit_parameter, parameter


class AlarmResponse(Schema):
    """The first training after an alarm, and what came of it."""

    model_version: str
    trained: int
    verdict: str | None
    """Of the gate; null before it has judged."""
    promoted: int | None
    """When the model was promoted; null if it was not."""


class AlarmOut(Schema):
    """A detected change of a signal that is large enough to matter."""

    id: str
    signal: str
    """As in `signals`; `silence`: no events where events were expected."""
    segment: str | None
    """The affected part, as `category=Tea`; null for all events."""
    text: str
    """What changed, for people."""
    detected: int
    onset: int
    """When the change probably began."""
    before: float
    """What was expected since the onset."""
    after: float
    """What was seen since the onset."""
    low: float
    """The lower end of the 95% interval of `after`."""
    high: float
    """The upper end of it."""
    cause: str
    """Probable causes, for people."""
    model_version: str | None
    """The champion at that time."""
    status: Literal["open", "retrained", "over"]
    """`over`: the change has ended; `retrained`: it lasts, and a model trained after the alarm was promoted."""
    over: int | None
    """When it ended; null while it lasts."""
    ending: Literal["recovered", "new normal", "new model", "events resumed"] | None
    """How it ended: the signal is as before, the change is what is expected now, or its model no longer serves."""
    response: AlarmResponse | None
    """What was done; null before a training."""
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


def signals_out(points: list[Point]) -> list[dict[str, Any]]:
    """Points, ordered by signal and segment, as `SignalOut`s."""
    return [
        {"name": name, "segment": segment or None, "points": [_point(point) for point in group]}
        for (name, segment), group in groupby(points, lambda point: (point.signal, point.segment))
    ]


def alarm_out(alarm: Alarm, models: Sequence[ModelRecord], promotions: Sequence[Promotion]) -> dict[str, object]:
    """An alarm as `AlarmOut`; `models`: newest first."""
    response = _response(alarm, models, promotions)
    retrained = response is not None and response["promoted"] is not None
    return {
        "id": alarm.alarm_id,
        "signal": alarm.signal,
        "segment": alarm.segment or None,
        "text": headline(alarm),
        "detected": alarm.detected_ms,
        "onset": alarm.onset_ms,
        "before": alarm.before,
        "after": alarm.after,
        "low": alarm.low,
        "high": alarm.high,
        "cause": alarm.cause,
        "model_version": alarm.model_version,
        "status": "over" if alarm.over_ms is not None else "retrained" if retrained else "open",
        "over": alarm.over_ms,
        "ending": alarm.ending,
        "response": response,
        "sent": alarm.sent_ms,
    }


def _response(alarm: Alarm, models: Sequence[ModelRecord], promotions: Sequence[Promotion]) -> dict[str, object] | None:
    """The oldest model whose training had read the alarm, as `AlarmResponse`."""
    trained = (model for model in reversed(models) if model.lineage.get("alarms_through_ms", -1) >= alarm.detected_ms)
    model = next(trained, None)
    if model is None:
        return None
    trials = model.lineage.get("trials") or [{}]
    return {
        "model_version": model.version,
        "trained": model.created_ms,
        "verdict": trials[-1].get("verdict"),
        "promoted": next(
            (promotion.time_ms for promotion in reversed(promotions) if promotion.version == model.version), None
        ),
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

GET_DRIFT = document(
    DriftOut,
    tag=_TAG,
    parameters=(
        limit_parameter("How many alarms."),
        parameter("days", "integer", "How many days of signals.", minimum=1, maximum=3650, default=30),
    ),
)
