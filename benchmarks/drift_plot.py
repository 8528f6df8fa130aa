"""Draws the signals of a database: observed and expected values, and where alarms begin.

    python -m benchmarks.drift_plot --data FOLDER --title online-retail --out drift.svg

Reads what is stored (after `tidewise drift --catch-up`); neighbouring points are averaged to what a screen can show.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from math import nan
from pathlib import Path

from core.drift_records import Alarm, Point
from tidewise.bootstrap import open_system
from tidewise.evaluation.charts import SignalPanel, write_signal_chart
from tidewise.settings.schema import load_settings

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
            panels.append(SignalPanel(name, *zip(*means, strict=True), onsets_ms))
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


def main() -> None:
    """Draw the signals of one database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    overrides = {"data.folder": options.data, "clock.mode": "stream"}
    with open_system(load_settings(overrides=overrides, environment={})) as system, system.store.read() as read:
        panels = panels_of(read.drift.points(since_ms=0), read.drift.alarms(limit=1000))
    write_signal_chart(options.out, options.title, panels)


if __name__ == "__main__":
    main()
