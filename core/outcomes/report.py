"""The report of outcomes: counts and rates by scenario, arm, model version, position or day, from stored counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

from core.clock import DAY_MS
from core.outcomes.counting import NOTHING
from core.outcomes.rates import RateEstimate, rate
from core.outcomes.revenue import RevenueEstimate, mean_revenue
from core.ports.outcomes import Dimension, Total
from core.ports.store import ReadTransaction
from core.records.arms import UserSums
from core.records.outcomes import Measure, Origin, OriginField

T = TypeVar("T")
Grouping = Literal["scenario", "arm", "model", "position", "day"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
Unit = Literal["answer", "user"]
UNITS: tuple[Unit, ...] = get_args(Unit)
ImpressionSource = Literal["answers", "client"]
ORIGIN_FIELDS: Mapping[Grouping, OriginField] = {"scenario": "scenario", "arm": "arm", "model": "model_version"}


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """The outcomes of one group. What a position does not have is None: answers and what is known of whole lists.

    `impressions`: items shown; `clicks`, `conversions`: those of them with such an event. `ctr`, `conversion_rate`: per
    impression. `revenue`: the sum of the values of all purchases; its interval is that of `revenue_per_answer` times
    `answers`. `num_items`: how many different items were shown;
    `coverage`: their share of the listed items. `novelty`: bits per item shown. `new_share`: of the items shown.
    `users`: to whom answers were given, and what each of them brought: None unless asked for.
    """

    group: str | int
    answers: int | None
    impressions: int
    clicks: int
    conversions: int
    revenue: float
    ctr: RateEstimate | None
    conversion_rate: RateEstimate | None
    revenue_per_answer: RevenueEstimate | None = None
    num_items: int | None = None
    coverage: float | None = None
    novelty: float | None = None
    new_share: float | None = None
    users: int | None = None
    revenue_per_user: RevenueEstimate | None = None


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """`rows`: the groups, ascending. `total`: all of them together; its group is empty."""

    by: Grouping
    since_day: int
    until_day: int
    rows: tuple[OutcomeRow, ...]
    total: OutcomeRow


def outcome_report(
    read: ReadTransaction,
    *,
    by: Grouping,
    since_day: int,
    until_day: int,
    impressions: ImpressionSource = "answers",
    num_listed: int = 0,
    per: Unit = "answer",
) -> OutcomeReport:
    """The outcomes of the answers of some days (since 1970, both included).

    `impressions`: "answers" counts every item of an answer as shown, "client" those with an event that proves it.
    `num_listed`: how many items can be recommended, for the coverage. `per`: "user" counts users and their revenue too,
    by scenario, arm and model and in all; this reads all answers of these days, of which old ones may be deleted.
    """
    dimension: Dimension = by if by in ("day", "position") else "origin"
    days = {"since_day": since_day, "until_day": until_day}
    totals = read.outcomes.totals(dimension, **days)
    groups = _grouped(totals, _group_of(by, read.answers.origins()))
    num_items = {} if by == "position" else read.answers.num_items_shown(ORIGIN_FIELDS.get(by, "day"), **days)
    all_items = read.answers.num_items_shown(None, **days)[""]
    make = _RowMaker(impressions, num_listed)
    rows = (make.row(name, groups[name], num_items.get(name, 0)) for name in sorted(groups) if by != "position" or name)
    positions = by == "position"
    kept = tuple(_of_position(row) if positions else row for row in rows)
    everything = _grouped(totals, lambda _: "")
    total = make.row("", everything.get("", {}), all_items)
    if per == "user":
        period = {"since_ms": since_day * DAY_MS, "until_ms": (until_day + 1) * DAY_MS}
        total = _with_users(total, read.arms.revenue_by_user(None, **period))
        if by in ORIGIN_FIELDS:
            revenues = read.arms.revenue_by_user(ORIGIN_FIELDS[by], **period)
            kept = tuple(_with_users(row, revenues) for row in kept)
    return OutcomeReport(by, since_day, until_day, kept, total)


def origin_rows(
    read: ReadTransaction, group_of: Callable[[Origin], T], *, day: int, impressions: ImpressionSource
) -> dict[T, OutcomeRow]:
    """The outcomes of one day's answers by a group of their origins; without the numbers of different items."""
    origins = read.answers.origins()
    totals = read.outcomes.totals("origin", since_day=day, until_day=day)
    make = _RowMaker(impressions, 0)
    groups = _grouped(totals, lambda key: group_of(origins[key]))
    return {group: make.row("", sums, 0) for group, sums in groups.items()}


Sums = Mapping[int, tuple[int, float]]  # number and value by measure


def _group_of(by: Grouping, origins: Mapping[int, Origin]) -> Callable[[int], str | int]:
    if by in ("day", "position"):
        return lambda group: group
    return lambda origin_key: str(getattr(origins[origin_key], ORIGIN_FIELDS[by]))


def _grouped(totals: Sequence[Total], group_of: Callable[[int], T]) -> dict[T, Sums]:
    groups: dict[T, dict[int, tuple[int, float]]] = defaultdict(dict)
    for group, measure, num, value in totals:
        sums = groups[group_of(group)]
        old_num, old_value = sums.get(measure, NOTHING)
        sums[measure] = (old_num + num, old_value + value)
    return dict(groups)


def _with_users(row: OutcomeRow, revenues: Mapping[str, UserSums]) -> OutcomeRow:
    """The row with its users and their revenue. `revenues`: by group."""
    sums = revenues.get(str(row.group), UserSums())
    mean = mean_revenue(sums.users, sums.value, sums.value_squares)
    return replace(row, users=sums.users, revenue_per_user=mean)


def _of_position(row: OutcomeRow) -> OutcomeRow:
    counts = (row.impressions, row.clicks, row.conversions, row.revenue, row.ctr, row.conversion_rate)
    return OutcomeRow(row.group, None, *counts)


@dataclass(frozen=True, slots=True)
class _RowMaker:
    impressions: ImpressionSource
    num_listed: int

    def row(self, group: str | int, sums: Sums, num_items: int) -> OutcomeRow:
        def num(measure: Measure) -> int:
            return sums.get(measure, NOTHING)[0]

        shown = num(Measure.SHOWN)
        impressions = shown if self.impressions == "answers" else num(Measure.IMPRESSION)
        clicks, conversions = num(Measure.CLICK), num(Measure.CONVERSION)
        answers, revenue = num(Measure.ANSWER), sums.get(Measure.CONVERSION, NOTHING)[1]
        return OutcomeRow(
            group,
            answers,
            impressions,
            clicks,
            conversions,
            revenue,
            rate(clicks, impressions),
            rate(conversions, impressions),
            mean_revenue(answers, revenue, sums.get(Measure.REVENUE, NOTHING)[1]),
            num_items,
            num_items / self.num_listed if self.num_listed else None,
            sums[Measure.ANSWER][1] / shown if shown and Measure.ANSWER in sums else None,
            num(Measure.NEW) / shown if shown else None,
        )
