"""Interest over time: the answer of GET /v1/interests."""

from __future__ import annotations

from core.interests.comparison import PeriodChange
from core.interests.mix import Mix
from core.interests.report import InterestReport, SegmentChanges
from core.interests.words import segment_name
from serving.schemas.base import Schema
from serving.schemas.openapi import ERRORS_404, document, id_parameter, parameter

MAX_BUCKETS = 60  # of a chart
MAX_CATEGORIES = 12  # of a segment


class ChangeOut(Schema):
    """A share of events beside that of the reference."""

    name: str
    share: float
    reference: float
    difference: float
    low: float | None
    """The lower end of the 95% interval of `difference`; null where a period has fewer than seven time buckets."""
    high: float | None
    """The upper end of it."""
    significant: bool
    """Whether the difference is at least a percentage point, and three standard errors from zero."""


class GrowthOut(Schema):
    """The change of the number of events in a day, relative to the reference: 0.1 is 10% more."""

    difference: float
    low: float | None
    """The lower end of its 95% interval; null where a period has fewer than seven whole days."""
    high: float | None
    """The upper end of it."""
    significant: bool


class SegmentInterests(Schema):
    """A part of all events."""

    name: str
    """`user=new`, `user=returning`, or a field and its value, as `event.country=DE`."""
    title: str
    """The name for people."""
    events: int
    share: ChangeOut
    """Of all events."""
    categories: list[ChangeOut]
    """The largest twelve within the segment."""


class InterestBucket(Schema):
    """Events by category in one time bucket."""

    start: int
    events: dict[str, int]


class InterestPeriod(Schema):
    """A period as it was read: its bounds are those of stored counts."""

    since: int
    until: int
    events: int
    bucket_ms: int
    buckets: list[InterestBucket]
    """At most 60, oldest first; buckets without events are omitted."""


class InterestReportOut(Schema):
    """The mix of categories in a period, compared with a reference period."""

    user_id: str | None
    """Null: everybody."""
    sentences: list[str]
    """What has changed beyond chance, with figures: at most three; none where nothing has."""
    period: InterestPeriod
    reference: InterestPeriod
    events_per_day: GrowthOut | None
    """Null where a period has no whole day with events."""
    categories: list[ChangeOut]
    """Largest first."""
    segments: list[SegmentInterests]
    """Most events first; none for one user."""


def report_out(report: InterestReport) -> dict[str, object]:
    """A report as `InterestReportOut`."""
    return {
        "user_id": report.user_id,
        "sentences": report.sentences,
        "period": _period(report.now),
        "reference": _period(report.reference),
        "events_per_day": None if report.growth is None else _growth(report.growth),
        "categories": [_change(change) for change in report.categories],
        "segments": [_segment(segment) for segment in report.segments],
    }


def _period(mix: Mix) -> dict[str, object]:
    joined = mix.at_most(MAX_BUCKETS)
    return {
        "since": mix.period.since_ms,
        "until": mix.period.until_ms,
        "events": mix.num_events,
        "bucket_ms": joined.block_ms,
        "buckets": [{"start": block.start_ms, "events": dict(block.events)} for block in joined.blocks],
    }


def _segment(segment: SegmentChanges) -> dict[str, object]:
    return {
        "name": segment.name,
        "title": segment_name(segment.name),
        "events": segment.mixes[0].num_events,
        "share": _change(segment.share),
        "categories": [_change(change) for change in segment.categories[:MAX_CATEGORIES]],
    }


def _change(change: PeriodChange) -> dict[str, object]:
    return {"name": change.name, "share": change.value, "reference": change.reference, **_growth(change)}


def _growth(change: PeriodChange) -> dict[str, object]:
    low, high = change.interval or (None, None)
    return {"difference": change.difference, "low": low, "high": high, "significant": change.is_significant}


GET_INTEREST_REPORT = document(
    InterestReportOut,
    tag="operations",
    parameters=[
        parameter("since", "string", "The start, in milliseconds or as ISO 8601; by default a week before the end."),
        parameter("until", "string", "The end; by default after the newest event."),
        parameter("reference_since", "string", "The start of the reference; by default it is as long as the period."),
        parameter("reference_until", "string", "The end of the reference; by default the start of the period."),
        id_parameter("user_id", "One user; by default everybody."),
        parameter(
            "format",
            "string",
            "`csv`: a file of the events of each category in each time bucket.",
            enum=["json", "csv"],
            default="json",
        ),
    ],
    errors=ERRORS_404,
)
GET_INTEREST_REPORT["responses"][200]["content"]["text/csv"] = {"schema": {"type": "string"}}
