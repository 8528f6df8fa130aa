"""Outcomes: what GET /v1/outcomes answers."""

from __future__ import annotations

from typing import Literal

from core.clock import DAY_MS
from core.outcomes.rates import RateEstimate
from core.outcomes.report import GROUPINGS, UNITS, Grouping, ImpressionSource, OutcomeReport, OutcomeRow
from core.outcomes.revenue import RevenueEstimate
from core.times import day_text
from serving.schemas.base import Schema
from serving.schemas.openapi import document, parameter


class RateOut(Schema):
    """A share with its 95% interval (Wilson), from 0 to 1."""

    value: float
    low: float
    high: float


class BoundsOut(Schema):
    """A 95% interval."""

    low: float
    high: float


class MeanOut(Schema):
    """A mean with its 95% interval, in the unit of the purchases' values."""

    value: float
    low: float
    high: float


class OutcomeRowOut(Schema):
    """The outcomes of one group, or of all together. By position, fields that describe whole lists are null."""

    group: str | int
    """The scenario, the arm as `experiment/arm`, the model version, the position from 1, or the day (UTC)."""
    answers: int | None
    """How many lists were given."""
    impressions: int
    """How many items were shown; see `impressions` of the answer."""
    clicks: int
    """How many of them were clicked, each once."""
    conversions: int
    """How many of them were bought, each once."""
    revenue: float
    """The sum of the values of all attributed purchases."""
    revenue_interval: BoundsOut | None
    """Its 95% interval; null where purchases are too few for one."""
    revenue_per_answer: MeanOut | None
    """Revenue per list; null where purchases are too few for an interval."""
    ctr: RateOut | None
    """Clicks per impression; null without impressions."""
    conversion_rate: RateOut | None
    """Conversions per impression."""
    items: int | None
    """How many different items were shown."""
    coverage: float | None
    """Their share of the items that can be recommended."""
    novelty: float | None
    """The mean novelty of the items shown, in bits: -log2 of an item's share of popularity."""
    new_share: float | None
    """The share of the items shown that were new."""
    users: int | None
    """How many users got lists; null by position, by day, and unless `per` is `user`."""
    revenue_per_user: MeanOut | None
    """Revenue per user; null where `users` is, and where purchases are too few for an interval."""


class OutcomesOut(Schema):
    """The outcomes of the answers of some days."""

    since: int
    """The start of the first day (UTC)."""
    until: int
    """The end of the last day."""
    by: Literal["scenario", "arm", "model", "position", "day"]
    impressions: Literal["answers", "client"]
    """Whether every item of an answer counts as shown (`answers`), or those for which an event says so (`client`)."""
    rows: list[OutcomeRowOut]
    """Ascending."""
    total: OutcomeRowOut


def outcomes_out(report: OutcomeReport, impressions: ImpressionSource) -> dict[str, object]:
    """A report as `OutcomesOut`."""
    return {
        "since": report.since_day * DAY_MS,
        "until": (report.until_day + 1) * DAY_MS,
        "by": report.by,
        "impressions": impressions,
        "rows": [_row(row, report.by) for row in report.rows],
        "total": _row(report.total, None),
    }


def _row(row: OutcomeRow, by: Grouping | None) -> dict[str, object]:
    return {
        "group": day_text(int(row.group)) if by == "day" else row.group,
        "answers": row.answers,
        "impressions": row.impressions,
        "clicks": row.clicks,
        "conversions": row.conversions,
        "revenue": row.revenue,
        "revenue_interval": _revenue_bounds(row),
        "revenue_per_answer": rate_out(row.revenue_per_answer),
        "ctr": rate_out(row.ctr),
        "conversion_rate": rate_out(row.conversion_rate),
        "items": row.num_items,
        "coverage": row.coverage,
        "novelty": row.novelty,
        "new_share": row.new_share,
        "users": row.users,
        "revenue_per_user": rate_out(row.revenue_per_user),
    }


def rate_out(rate: RateEstimate | RevenueEstimate | None) -> dict[str, float] | None:
    """An estimate as `RateOut` or `MeanOut`."""
    return None if rate is None else {"value": rate.value, "low": rate.low, "high": rate.high}


def _revenue_bounds(row: OutcomeRow) -> dict[str, float] | None:
    mean, num_answers = row.revenue_per_answer, row.answers
    if mean is None or num_answers is None:
        return None
    return {"low": mean.low * num_answers, "high": mean.high * num_answers}


GET_OUTCOMES = document(
    OutcomesOut,
    tag="outcomes",
    parameters=(
        parameter("since", "string", "The first day: ms or ISO 8601; by default six days before the last."),
        parameter("until", "string", "The last day: ms or ISO 8601; by default today."),
        parameter("by", "string", "What to group by.", enum=list(GROUPINGS), default="scenario"),
        parameter("per", "string", "`user` also counts users and their revenue.", enum=list(UNITS), default="answer"),
    ),
)
