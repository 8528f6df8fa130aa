"""The drift report: one page of HTML without any other file, with its charts as SVG. Prints on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from core.drift.words import headline
from core.interests.comparison import PeriodChange
from core.interests.mix import Mix
from core.interests.report import InterestReport
from core.interests.words import segment_name
from core.records.drift import Alarm
from core.times import minute_text

NUM_ROWS = 15
STYLE = {
    "body": "font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1d2330",
    "h1": "font-size:1.6rem;margin:0",
    "h2": "font-size:1.15rem;margin:2rem 0 .5rem",
    "p.about": "color:#5a6272;margin:.2rem 0 1rem",
    "svg": "width:100%;height:auto",
    "table": "border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums",
    "th,td": "padding:.3rem .6rem;border-bottom:1px solid #e2e5ea;text-align:right;vertical-align:top",
    "th:first-child,td:first-child,td.text,th.text": "text-align:left",
    "tr.moved td": "font-weight:600",
    ".wide": "overflow-x:auto",
    "li": "margin:.3rem 0",
}  # rules by selector


def interest_page(report: InterestReport, alarms: Sequence[Alarm], charts: Mapping[str, str]) -> str:
    """The page. `alarms`: of both periods, newest first; `charts`: SVG elements by heading."""
    title = "Interests" if report.user_id is None else f"Interests of {report.user_id}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="about">{_period(report.now)}, compared with {_period(report.reference)}. Times are UTC.</p>',
        "<h2>What has changed</h2>",
        _list(report.told),
        "<h2>Alarms</h2>",
        _alarms(alarms),
        *(f"<h2>{escape(heading)}</h2>{svg}" for heading, svg in charts.items()),
        "<h2>Categories</h2>",
        _changes(report.categories[:NUM_ROWS]),
        *([f"<h2>Segments side by side</h2>{_segments(report)}"] if report.segments else []),
        '<p class="about">A difference counts as a change from one point of share and three standard errors on. '
        "Intervals are 95% and do not take the events of a visit as independent. Bold: changed.</p>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    style = "".join(f"{selector}{{{rule}}}" for selector, rule in STYLE.items())
    page = f"<head>{head}<style>{style}</style></head><body>{''.join(parts)}</body>"
    return f'<!doctype html><html lang="en">{page}</html>'


def _period(mix: Mix) -> str:
    since, until = minute_text(mix.period.since_ms), minute_text(mix.period.until_ms)
    return f"{since} to {until} ({mix.num_events:,} events)"


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _alarms(alarms: Sequence[Alarm]) -> str:
    if not alarms:
        return "<p>None in these periods.</p>"
    rows = [
        (
            minute_text(alarm.onset_ms),
            headline(alarm),
            alarm.cause,
            f"over: {alarm.ending}" if alarm.over_ms else "lasts",
        )
        for alarm in alarms
    ]
    cells = "".join(f"<tr>{''.join(f'<td class=text>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    headings = ("since", "what changed", "likely cause", "state")
    return f"<table><tr>{''.join(f'<th class=text>{name}</th>' for name in headings)}</tr>{cells}</table>"


def _changes(changes: Sequence[PeriodChange]) -> str:
    rows = "".join(map(_row, changes))
    return f"<table><tr><th>category</th><th>share</th><th>reference</th><th>points (95%)</th></tr>{rows}</table>"


def _row(change: PeriodChange) -> str:
    cells = (escape(change.name), f"{change.value:.1%}", f"{change.reference:.1%}", points(change))
    state = " class=moved" if change.is_significant else ""
    return f"<tr{state}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def points(change: PeriodChange) -> str:
    """A difference in points, with its interval where there is one."""
    text = f"{100 * change.difference:+.1f}"
    if change.interval is None:
        return text
    low, high = change.interval
    return f"{text} ({100 * low:+.1f} to {100 * high:+.1f})"


def _segments(report: InterestReport) -> str:
    """A column for each segment, a row for each category; below each share how far it moved."""
    names = [change.name for change in report.categories[:NUM_ROWS]]
    parts = report.segments[:6]
    headings = "".join(f"<th>{escape(segment_name(part.name))}</th>" for part in parts)
    rows: list[tuple[str, list[PeriodChange | None]]] = [("of all events", [part.share for part in parts])]
    of_parts = [
        {change.name: change for change in part.categories if all(mix.blocks for mix in part.mixes)} for part in parts
    ]
    rows += [(name, [changes.get(name) for changes in of_parts]) for name in names]
    body = "".join(f"<tr><td>{escape(name)}</td>{''.join(map(_cell, changes))}</tr>" for name, changes in rows)
    return f'<div class="wide"><table><tr><th>category</th>{headings}</tr>{body}</table></div>'


def _cell(change: PeriodChange | None) -> str:
    if change is None:
        return "<td></td>"
    moved = f"<b>{100 * change.difference:+.1f}</b>" if change.is_significant else f"{100 * change.difference:+.1f}"
    return f"<td>{change.value:.1%} ({moved})</td>"
