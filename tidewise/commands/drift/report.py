"""`tidewise drift report`: what people were interested in and what has changed, as one page to send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.interests.report import InterestReport
from core.ports.store import ReadTransaction
from core.records.drift import Alarm
from storage.whole_files import check_folder, write_text
from tidewise.bootstrap import open_existing
from tidewise.commands.drift.compare import ReferenceSince, ReferenceUntil, Since, Until, bounds_of, read_chosen
from tidewise.commands.options import Config, Data, Json, Set, print_json, screen, settings_of

MAX_ALARMS = 1_000
OVER_TIME, MOVED, SIGNALS = "Shares over time", "What moved most", "Signals"


def report(
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    since: Since = None,
    until: Until = None,
    reference_since: ReferenceSince = None,
    reference_until: ReferenceUntil = None,
    user: Annotated[str | None, typer.Option(help="Only the events of this user.")] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Write a report on interests as one self-contained HTML page."""
    from tidewise.evaluation.charts import require_matplotlib
    from tidewise.reports.interest_page import interest_page

    require_matplotlib()
    check_folder(out)
    with open_existing(settings_of(data, config, set_)) as system:
        bounds = bounds_of(since, until, reference_since, reference_until)
        interests = read_chosen(system, bounds, user=user)
        with system.store.read() as read:
            alarms = _alarms(read, interests) if user is None else []
            charts = _charts(read, interests, alarms)
    write_text(out, interest_page(interests, alarms, charts))
    if json_:
        print_json({"out": str(out), "sentences": interests.sentences, "alarms": len(alarms)})
    else:
        screen.print(f"Report written to {out}", markup=False, highlight=False)


def _alarms(read: ReadTransaction, interests: InterestReport) -> list[Alarm]:
    """The alarms of both periods, newest first."""
    since_ms, until_ms = _span(interests)
    newest = read.drift.alarms(limit=MAX_ALARMS)
    return [alarm for alarm in newest if since_ms <= alarm.onset_ms < until_ms]


def _span(interests: InterestReport) -> tuple[int, int]:
    periods = (interests.reference.period, interests.now.period)
    return min(each.since_ms for each in periods), max(each.until_ms for each in periods)


def _charts(read: ReadTransaction, interests: InterestReport, alarms: list[Alarm]) -> dict[str, str]:
    """The charts by heading, those alone that have something to show."""
    from tidewise.reports.interest_charts import change_chart, mix_chart, signal_chart
    from tidewise.reports.signal_panels import panels_of

    since_ms, until_ms = _span(interests)
    charts = {}
    if interests.now.blocks and interests.reference.blocks:
        onsets_ms = [alarm.onset_ms for alarm in alarms if alarm.signal == "categories"]
        charts[OVER_TIME] = mix_chart(interests.reference, interests.now, onsets_ms)
        charts[MOVED] = change_chart(interests.categories)
    points = [point for point in read.drift.points(since_ms=since_ms) if point.end_ms <= until_ms]
    if interests.user_id is None and (panels := panels_of(points, alarms)):
        charts[SIGNALS] = signal_chart(panels)
    return charts
