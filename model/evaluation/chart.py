"""A chart of lines over periods as SVG, for any browser, without a library. Knows nothing about what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 420, 60, 190, 40, 40
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#e0a030", "#6a4c93", "#888888", "#00a5a5", "#a0522d")


def line_chart(title: str, lines: Mapping[str, Sequence[float]], labels: Sequence[str]) -> str:
    """An SVG document; the points of each line stand above the labels."""
    highest = max((value for values in lines.values() for value in values), default=0.0) or 1.0
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(place: int) -> float:
        return LEFT + plot_width * (place / max(1, len(labels) - 1))

    def y(value: float) -> float:
        return TOP + plot_height * (1 - value / highest)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for step in range(5):
        value = highest * step / 4
        line = f'<line x1="{LEFT}" y1="{y(value):.1f}" x2="{LEFT + plot_width}" y2="{y(value):.1f}" stroke="#ddd"/>'
        parts += [line, f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>']
    for place, label in enumerate(labels):
        parts.append(f'<text x="{x(place):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(label)}</text>')
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        beside = f'x="{LEFT + plot_width + 12}" y="{TOP + 16 * number + 8}"'
        parts.append(f'<text {beside} fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
