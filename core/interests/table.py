"""A report of interest over time as CSV: one row for each category in each block of each part of both periods."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from core.interests.mix import Mix
from core.interests.report import InterestReport
from core.times import second_text

COLUMNS = ("period", "segment", "start", "category", "events")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(report: InterestReport) -> str:
    """The table, with a row of column names; starts are UTC, `segment` is empty for all events of the report."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, mixes in (("", (report.now, report.reference)), *((part.name, part.mixes) for part in report.segments)):
        for period, mix in zip(("period", "reference"), mixes, strict=True):
            writer.writerows((period, _cell(name), *row) for row in _rows(mix))
    return text.getvalue()


def _rows(mix: Mix) -> Iterator[tuple[str, str, int]]:
    for block in mix.blocks:
        for category in mix.categories:
            if block.events.get(category):
                yield second_text(block.start_ms), _cell(category), block.events[category]


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
