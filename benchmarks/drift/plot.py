"""What the monitor of a database found, as a picture: each signal beside what was expected, and where alarms begin.

    python -m benchmarks.drift.plot --data FOLDER --title online-retail --out drift.svg

Reads what is stored (after `tidewise drift --catch-up`); draws SVG without a library, points averaged to what a screen
can show.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from pathlib import Path

from core.drift.records import Alarm, Point
from tidewise.bootstrap import open_system
from tidewise.settings.schema import load_settings

WIDTH, LEFT, RIGHT, TOP = 860, 90, 20, 34
PANEL, SPACE = 84, 26
MOST_POINTS = 220
SEEN, EXPECTED, ALARM = "#1b6ca8", "#9a9a9a", "#d1495b"
Place = tuple[float, float, float | None]  # time in ms, what was seen, what was expected


def thinned(points: Sequence[Point]) -> list[Place]:
    """Neighbours averaged, so that there are at most `MOST_POINTS`."""
    size = -(-len(points) // MOST_POINTS)
    groups = (points[first : first + size] for first in range(0, len(points), size))
    return [_mean(group) for group in groups]


def _mean(points: Sequence[Point]) -> Place:
    events = sum(point.num for point in points)
    known = [point for point in points if point.expected is not None]
    expected = sum(point.num * (point.expected or 0.0) for point in known) / max(1, sum(point.num for point in known))
    middle_ms = (points[0].start_ms + points[-1].end_ms) / 2
    seen = sum(point.num * point.value for point in points) / max(events, 1)
    return middle_ms, seen, expected if known else None


def picture(title: str, points: Sequence[Point], alarms: Sequence[Alarm]) -> str:
    """An SVG document: a panel for each signal of everybody, one below the other."""
    panels = {
        name: thinned(list(several))
        for (name, segment), several in groupby(points, lambda point: (point.signal, point.segment))
        if not segment
    }
    panels = {name: places for name, places in panels.items() if any(seen for _, seen, _ in places)}
    times_ms = [point.start_ms for point in points] + [point.end_ms for point in points]
    span = (min(times_ms), max(times_ms))
    height = TOP + len(panels) * (PANEL + SPACE) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}: seen (blue), expected (grey), alarms (red)</text>',
    ]
    for number, (name, places) in enumerate(panels.items()):
        own = [alarm for alarm in alarms if alarm.signal == name and not alarm.segment]
        parts += _panel(name, places, own, span, TOP + number * (PANEL + SPACE))
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    name: str, places: Sequence[Place], alarms: Sequence[Alarm], span: tuple[int, int], top: int
) -> Iterator[str]:
    highest = max((max(seen, expected or 0.0) for _, seen, expected in places), default=0.0) or 1.0

    def x(time_ms: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (time_ms - span[0]) / max(1, span[1] - span[0])

    def y(value: float) -> float:
        return top + PANEL * (1 - value / highest)

    def line(values: Sequence[tuple[float, float]], colour: str) -> str:
        drawn = " ".join(f"{x(time_ms):.0f},{y(value):.1f}" for time_ms, value in values)
        return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.3"/>'

    yield f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{escape(name)}</text>'
    yield f'<text x="{LEFT - 6}" y="{top + 24}" text-anchor="end" fill="#666">{highest:.2g}</text>'
    yield f'<line x1="{LEFT}" y1="{top + PANEL}" x2="{WIDTH - RIGHT}" y2="{top + PANEL}" stroke="#ccc"/>'
    yield line([(time_ms, expected) for time_ms, _, expected in places if expected is not None], EXPECTED)
    yield line([(time_ms, seen) for time_ms, seen, _ in places], SEEN)
    for time_ms in (span[0] + part * (span[1] - span[0]) // 6 for part in range(7)):
        anchor = "start" if time_ms == span[0] else "end" if time_ms > span[1] - 1000 else "middle"
        below = f'x="{x(time_ms):.0f}" y="{top + PANEL + 13}" text-anchor="{anchor}"'
        yield f'<text {below} fill="#666">{_day(time_ms)}</text>'
    for alarm in alarms:
        at = f"{x(alarm.onset_ms):.0f}"
        yield f'<line x1="{at}" y1="{top}" x2="{at}" y2="{top + PANEL}" stroke="{ALARM}" stroke-width="1.6">'
        yield f"<title>{_day(alarm.onset_ms)}: {escape(alarm.cause)}</title></line>"


def _day(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%-d %b %Y}"


def main() -> None:
    """Draw one database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    given = {"data.folder": options.data, "clock.mode": "stream"}
    with open_system(load_settings(overrides=given, environment={})) as system, system.store.read() as read:
        drawn = picture(options.title, read.drift.points(since_ms=0), read.drift.alarms(limit=1000))
    options.out.write_text(drawn)


if __name__ == "__main__":
    main()
