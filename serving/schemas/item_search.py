"""Search in the catalogue, and the outcomes of items: what the routes take and answer."""

from __future__ import annotations

from core.events.interactions import EventTypes
from core.outcomes.item_report import ITEM_ORDERS, ItemHistory, ItemStatistics
from core.times import day_text
from serving.schemas.base import Schema
from serving.schemas.items import ItemOut
from serving.schemas.openapi import ERRORS_404, document, id_parameter, parameter, path_parameter
from serving.schemas.outcomes import RateOut, rate_out


class ItemStatisticsOut(Schema):
    """The outcomes of an item in a period of whole days (UTC)."""

    events: int
    """How many events of all users it had, of the types that enter users' windows."""
    impressions: int
    """How often it was shown; counted as in GET /v1/outcomes."""
    clicks: int
    """How often it was clicked in a list, at most once per list."""
    ctr: RateOut | None
    """Clicks per impression; null without impressions."""
    trend: float | None
    """The relative change of its events from as many days before: 0.5 is 50% more. Days that are not over are left out.
    Null where it had fewer than ten events before."""


class FoundItem(ItemOut):
    """An item as stored, with its outcomes."""

    statistics: ItemStatisticsOut | None = None
    """Left out unless the request has `sort`, `since` or `until`."""


class SearchOut(Schema):
    """The items that match a search."""

    items: list[FoundItem]
    matching: int
    """How many items match in all, including items known from events only."""
    next_offset: int | None
    """The `offset` of the next page; null at the end."""


class ItemHistoryOut(Schema):
    """The outcomes of an item, in all and by day."""

    total: ItemStatisticsOut
    days: list[str]
    """The days (UTC), ascending; the last may not be over."""
    events: dict[str, list[int]]
    """The number of events of each day, by type; types without events are omitted."""
    impressions: list[int]
    clicks: list[int]
    conversions: list[int]
    """As impressions and clicks, counted on the day of the answer."""


def statistics_out(statistics: ItemStatistics) -> dict[str, object]:
    """Statistics as `ItemStatisticsOut`."""
    return {
        "events": statistics.events,
        "impressions": statistics.impressions,
        "clicks": statistics.clicks,
        "ctr": rate_out(statistics.ctr),
        "trend": statistics.trend,
    }


def history_out(history: ItemHistory, total: ItemStatistics, types: EventTypes) -> dict[str, object]:
    """A history as `ItemHistoryOut`. Codes of one name, as likes and dislikes of one type, are added."""
    events: dict[str, list[int]] = {}
    for code, nums in history.events.items():
        name = types.name(code)
        events[name] = [num + other for num, other in zip(nums, events.get(name, [0] * len(nums)), strict=True)]
    return {
        "total": statistics_out(total),
        "days": list(map(day_text, history.days)),
        "events": events,
        "impressions": history.impressions,
        "clicks": history.clicks,
        "conversions": history.conversions,
    }


_TAG = "items"
_PERIOD = (
    parameter("since", "string", "The first day: ms or ISO 8601; by default six days before the last."),
    parameter("until", "string", "The last day: ms or ISO 8601; by default today."),
)

GET_SEARCH = document(
    SearchOut,
    tag=_TAG,
    parameters=(
        parameter("query", "string", "Words that all occur in the item's id, title or text."),
        id_parameter("category", "Only items of this category."),
        parameter("hidden", "string", "Only items that are hidden or out of stock.", enum=["only"]),
        parameter("n", "integer", "How many items.", minimum=1, maximum=200, default=20),
        parameter("offset", "integer", "How many to skip.", minimum=0, maximum=100_000, default=0),
        parameter("sort", "string", "The number to sort by.", enum=list(ITEM_ORDERS), default="popularity"),
        parameter("direction", "string", "Of `sort`.", enum=["descending", "ascending"], default="descending"),
        *_PERIOD,
    ),
)
GET_STATISTICS = document(ItemHistoryOut, tag=_TAG, parameters=(path_parameter("item_id"), *_PERIOD), errors=ERRORS_404)
