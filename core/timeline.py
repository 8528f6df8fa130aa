"""What happened in a period, from stored aggregates: numbers of events over time, promotions and alarms.

The aggregates are those of all processes, whichever of them is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from core.drift.words import headline
from core.ports.store import ReadTransaction

STEPS_MS = (
    5 * MINUTE_MS,
    15 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    4 * DAY_MS,
    30 * DAY_MS,
)
MAX_STEPS = 130  # more than a chart shows
MAX_ALARMS = 200  # the newest


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment to mark in charts. `kind`: promotion, rollback or alarm."""

    time_ms: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Numbers of events from the first of `starts_ms` on, in steps of `step_ms`; the last step may not be over.

    `counts`: by type code, as long as `starts_ms`. `marks`: ascending in time. `lags`: the highest lag in messages by
    partition of the event log, as long as `starts_ms`; None where there was no reading.
    """

    step_ms: int
    starts_ms: list[int]
    counts: dict[int, list[int]]
    marks: list[Mark]
    lags: dict[int, list[int | None]]


def read_timeline(read: ReadTransaction, *, since_ms: int, until_ms: int, stream: str | None = None) -> Timeline:
    """The timeline of a period, from the step that contains `since_ms` on. `stream`: the event log's, if any."""
    step_ms = step_of(until_ms - since_ms)
    first_ms = since_ms - since_ms % step_ms
    starts_ms = list(range(first_ms, until_ms, step_ms))
    counted = read.event_counts.by_step(since_ms=first_ms, before_ms=until_ms, step_ms=step_ms)
    counts = {
        code: [counted.get((start_ms, code), 0) for start_ms in starts_ms]
        for code in sorted({code for _, code in counted})
    }
    marks = [mark for mark in _promotions(read, first_ms) + _alarms(read, first_ms) if mark.time_ms < until_ms]
    marks.sort(key=lambda mark: mark.time_ms)
    stored = (
        read.offsets.lags(stream, since_ms=first_ms, before_ms=until_ms, step_ms=step_ms) if stream is not None else {}
    )
    lags = {
        partition: [stored.get((start_ms, partition)) for start_ms in starts_ms]
        for partition in sorted({partition for _, partition in stored})
    }
    return Timeline(step_ms, starts_ms, counts, marks, lags)


def step_of(span_ms: int) -> int:
    """The shortest step with which a span has at most MAX_STEPS of them; the longest if none has."""
    return next((step_ms for step_ms in STEPS_MS if span_ms <= MAX_STEPS * step_ms), STEPS_MS[-1])


def _promotions(read: ReadTransaction, since_ms: int) -> list[Mark]:
    return [
        Mark(change.time_ms, change.kind, f"{change.kind} of {change.version} by {change.decided_by}")
        for change in read.models.promotions(since_ms=since_ms)
    ]


def _alarms(read: ReadTransaction, since_ms: int) -> list[Mark]:
    return [
        Mark(alarm.onset_ms, "alarm", headline(alarm))
        for alarm in read.drift.alarms(limit=MAX_ALARMS)
        if alarm.onset_ms >= since_ms
    ]
