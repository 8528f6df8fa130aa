"""The timeline of a period: the answer of GET /v1/timeline."""

from __future__ import annotations

from typing import Literal

from core.events.interactions import EventTypes
from core.timeline import Timeline
from serving.schemas.base import Schema
from serving.schemas.openapi import document, parameter


class MarkOut(Schema):
    """A moment to mark in charts: a change of the serving model, or the probable onset of an alarm."""

    time: int
    kind: Literal["promotion", "rollback", "alarm"]
    text: str


class TimelineOut(Schema):
    """Numbers of events in equal steps, of all processes, with promotions and alarms."""

    now: int
    since: int
    until: int
    step_ms: int
    time: list[int]
    """The start of each step; the last may not be over."""
    events: dict[str, list[int]]
    """The number of events in each step, by type; types without events are omitted."""
    lag: dict[str, list[int | None]]
    """The highest lag in each step, in messages, by partition of the event log; null without a reading."""
    marks: list[MarkOut]
    """In ascending time."""


def timeline_out(timeline: Timeline, types: EventTypes) -> dict[str, object]:
    """A timeline as part of `TimelineOut`. Codes of one name, as likes and dislikes of one type, are added."""
    events: dict[str, list[int]] = {}
    for code, nums in timeline.counts.items():
        name = types.name(code)
        events[name] = [num + other for num, other in zip(nums, events.get(name, [0] * len(nums)), strict=True)]
    marks = [{"time": mark.time_ms, "kind": mark.kind, "text": mark.text} for mark in timeline.marks]
    lags = {str(partition): lag for partition, lag in timeline.lags.items()}
    return {"step_ms": timeline.step_ms, "time": timeline.starts_ms, "events": events, "lag": lags, "marks": marks}


GET_TIMELINE = document(
    TimelineOut,
    tag="operations",
    parameters=[
        parameter("since", "string", "The start, in milliseconds or as ISO 8601; by default a day before the end."),
        parameter("until", "string", "The end; by default now."),
    ],
)
