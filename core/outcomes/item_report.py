"""The report of items: how often each was shown and clicked, its events, and their trend, from stored counts by item.

The trend compares whole days: the day that is not over would look like a fall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from core.arrays import DoubleArray, IntArray, look_up
from core.outcomes.rates import RateEstimate, rate, wilson_bounds
from core.outcomes.report import ImpressionSource
from core.ports.store import ReadTransaction
from core.records.item_counts import FIRST_TYPE, measure_of_type
from core.records.outcomes import Measure

ItemOrder = Literal["popularity", "events", "impressions", "clicks", "ctr", "trend"]
ITEM_ORDERS: tuple[ItemOrder, ...] = get_args(ItemOrder)
MIN_EVENTS = 10  # of the days before, for a trend: a change of fewer says little
OF_EVENTS = "events"
SHOWN_MEASURES: Mapping[ImpressionSource, Measure] = {"answers": Measure.SHOWN, "client": Measure.IMPRESSION}


@dataclass(frozen=True, slots=True)
class ItemPeriod:
    """Days since 1970, both included. `today`: the day that is not over. `type_codes`: of the events that count.

    `impressions`: as in `core.outcomes.report.outcome_report`.
    """

    since_day: int
    until_day: int
    today: int
    type_codes: tuple[int, ...]
    impressions: ImpressionSource = "answers"

    @property
    def measures(self) -> dict[str, tuple[int, ...]]:
        """The measures that each number of an item is the sum of."""
        types = tuple(measure_of_type(code) for code in self.type_codes)
        shown = SHOWN_MEASURES[self.impressions]
        return {OF_EVENTS: types, "impressions": (shown,), "clicks": (Measure.CLICK,)}

    @property
    def compared(self) -> tuple[range, range]:
        """The whole days of the period, and as many before them."""
        until_day = min(self.until_day, self.today - 1)
        since_day = min(self.since_day, until_day)
        num_days = until_day - since_day + 1
        return range(since_day, until_day + 1), range(since_day - num_days, since_day)


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """What became of an item. `ctr`: clicks per impression. `trend`: the relative change of its events, as 0.5 for
    half as many more; None where there were too few.
    """

    events: int
    impressions: int
    clicks: int
    ctr: RateEstimate | None
    trend: float | None


@dataclass(frozen=True, slots=True)
class ItemHistory:
    """Numbers of one item by day, each as long as `days`. `events`: by type code."""

    days: tuple[int, ...]
    events: dict[int, list[int]]
    impressions: list[int]
    clicks: list[int]
    conversions: list[int]


def item_statistics(read: ReadTransaction, item_keys: Sequence[int], period: ItemPeriod) -> list[ItemStatistics]:
    """The statistics of these items, in their order."""
    recent, before = period.compared
    names = {measure: name for name, measures in period.measures.items() for measure in measures}
    first, last = min(period.since_day, before.start), max(period.until_day, recent.stop - 1)
    sums: dict[tuple[int, str], int] = {}
    counts = read.item_counts.of_items(item_keys, measures=list(names), since_day=first, until_day=last)
    for (measure, day, item_key), num in counts.items():
        parts = [names[measure]] if period.since_day <= day <= period.until_day else []
        if measure >= FIRST_TYPE:
            parts += [name for name, days in (("recent", recent), ("before", before)) if day in days]
        for part in parts:
            sums[item_key, part] = sums.get((item_key, part), 0) + num
    return [_statistics({part: num for (of, part), num in sums.items() if of == key}) for key in item_keys]


def item_history(read: ReadTransaction, item_key: int, *, period: ItemPeriod, type_codes: Sequence[int]) -> ItemHistory:
    """The numbers of an item by day. `type_codes`: of all events that are told apart."""
    days = tuple(range(period.since_day, period.until_day + 1))
    shown = SHOWN_MEASURES[period.impressions]
    measures = (shown, Measure.CLICK, Measure.CONVERSION, *map(measure_of_type, type_codes))
    counts = read.item_counts.of_items([item_key], measures=measures, since_day=days[0], until_day=days[-1])
    numbers: dict[int, list[int]] = {measure: [0] * len(days) for measure in measures}
    for (measure, day, _), num in counts.items():
        numbers[measure][day - days[0]] = num
    events = {code: numbers[measure_of_type(code)] for code in type_codes if any(numbers[measure_of_type(code)])}
    return ItemHistory(days, events, numbers[shown], numbers[Measure.CLICK], numbers[Measure.CONVERSION])


def order_items(
    read: ReadTransaction, item_keys: IntArray, by: ItemOrder, period: ItemPeriod, *, ascending: bool = False
) -> IntArray:
    """(n,) the places of these items (n,), most popular first, in an order; ties as they come, no value last.

    The click-through rate orders by the bound of its interval that is nearer to the others: one click of two
    impressions is no best item, none of two no worst. Reads the sums of all items, which costs what the period holds.
    """
    if by == "popularity":
        places = np.arange(len(item_keys))
        return places[::-1] if ascending else places
    if by == "trend":
        recent, before = (_sums(read, item_keys, OF_EVENTS, period, days) for days in period.compared)
        values = np.where(before >= MIN_EVENTS, recent / np.maximum(before, 1.0), np.nan)
    elif by == "ctr":
        days = range(period.since_day, period.until_day + 1)
        clicks, shown = (_sums(read, item_keys, name, period, days) for name in ("clicks", "impressions"))
        low, high = wilson_bounds(clicks, np.maximum(shown, 1.0))
        values = np.where((shown > 0) & (clicks <= shown), high if ascending else low, np.nan)
    else:
        values = _sums(read, item_keys, by, period, range(period.since_day, period.until_day + 1))
    return np.argsort(values if ascending else -values, kind="stable")  # NaN comes last


def _statistics(sums: Mapping[str, int]) -> ItemStatistics:
    impressions, clicks = sums.get("impressions", 0), sums.get("clicks", 0)
    before = sums.get("before", 0)
    trend = sums.get("recent", 0) / before - 1 if before >= MIN_EVENTS else None
    return ItemStatistics(sums.get(OF_EVENTS, 0), impressions, clicks, rate(clicks, impressions), trend)


def _sums(read: ReadTransaction, item_keys: IntArray, name: str, period: ItemPeriod, days: range) -> DoubleArray:
    """(n,) the sums of a number over days, of these items."""
    bounds = {"since_day": days.start, "until_day": days.stop - 1}
    totals = read.item_counts.totals("item", measures=period.measures[name], **bounds)
    known, places = np.unique(totals[:, 0], return_inverse=True)
    sums = np.bincount(places, totals[:, 2], minlength=len(known))
    at, is_known = look_up(known, item_keys)
    values = np.zeros(len(item_keys))
    values[is_known] = sums[at[is_known]]
    return values
