"""Panels of signals for charts: neighbouring points are averaged to what a page can show."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import nan

from core.records.drift import Alarm, Point
from tidewise.evaluation.charts import SignalPanel

MAX_POINTS = 220


def panels_of(points: Sequence[Point], alarms: Sequence[Alarm]) -> list[SignalPanel]:
    """A panel for each signal of all users (no segment) that was ever above 0."""
    panels = []
    for (name, segment), group in groupby(points, lambda point: (point.signal, point.segment)):
        if segment:
            continue
        means = mean_points(list(group))
        if any(observed for _, observed, _ in means):
            onsets_ms = [alarm.onset_ms for alarm in alarms if alarm.signal == name and not alarm.segment]
            times_ms, observed, expected = zip(*means, strict=True)
            panels.append(SignalPanel(name, times_ms, observed, expected, onsets_ms))
    return panels


def mean_points(points: Sequence[Point]) -> list[tuple[float, float, float]]:
    """At most `MAX_POINTS` of (time in ms, observed, expected): means of neighbours, weighted by their events."""
    size = -(-len(points) // MAX_POINTS)
    return [_mean(points[first : first + size]) for first in range(0, len(points), size)]


def _mean(points: Sequence[Point]) -> tuple[float, float, float]:
    num_events = sum(point.num for point in points)
    predicted = [point for point in points if point.expected is not None]
    num_predicted = sum(point.num for point in predicted)
    expected = sum(point.num * (point.expected or 0.0) for point in predicted) / max(1, num_predicted)
    middle_ms = (points[0].start_ms + points[-1].end_ms) / 2
    observed = sum(point.num * point.value for point in points) / max(num_events, 1)
    return middle_ms, observed, expected if predicted else nan
