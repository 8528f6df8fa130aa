"""The catalogue for those who maintain it: search in any order, with the outcomes of items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from core.arrays import IntArray
from core.clock import DAY_MS
from core.errors import InvalidInput, NotFound
from core.events.interactions import check_id, shorten
from core.outcomes.item_report import ITEM_ORDERS, ItemOrder, ItemPeriod, item_history, item_statistics, order_items
from core.ports.store import ReadTransaction
from core.recommendation.search import search_rows
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.stored import StoredItem
from serving.http.periods import days_of
from serving.http.replies import json_reply
from serving.http.requests import choice_query, integer_query, path_id
from serving.runtime.engine import Engine
from serving.schemas import item_search as schemas
from serving.schemas.items import item_out

MAX_MATCHES = 200
MAX_OFFSET = 100_000
MAX_QUERY_CHARS = 200
MAX_DAYS = 366
FIELDS = ("query", "category", "hidden", "n", "offset", "sort", "direction", "since", "until")


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """Which items are searched. `period`: None where no statistics are asked for."""

    words: tuple[str, ...]
    category: str | None
    only_hidden: bool
    order: ItemOrder
    ascending: bool
    period: ItemPeriod | None
    offset: int
    n: int


class ItemSearchRoutes:
    """Searches the serving snapshot; statistics come from the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        history = "/v1/items/{item_id:path}/statistics"
        router.add_api_route("/v1/items/search", self.search, methods=["GET"], **schemas.GET_SEARCH)
        router.add_api_route(history, self.statistics, methods=["GET"], **schemas.GET_STATISTICS)

    async def search(self, request: Request) -> Response:
        """Catalogue items that contain all words of a query, sorted; hidden ones are included, or alone."""
        query = request.query_params
        text = query.get("query", "")
        if len(text) > MAX_QUERY_CHARS:
            msg = f"query: wanted at most {MAX_QUERY_CHARS} characters, got {shorten(text)}"
            raise InvalidInput(msg, field="query")
        order = choice_query(request, "sort", ITEM_ORDERS)
        wants_statistics = order != "popularity" or not query.keys().isdisjoint(("direction", "since", "until"))
        wanted = ItemQuery(
            tuple(text.split()),
            check_id("category", query["category"]) if query.get("category") else None,
            _only_hidden(query.get("hidden")),
            order,
            choice_query(request, "direction", ("descending", "ascending")) == "ascending",
            self._period(request) if wants_statistics else None,
            integer_query(request, "offset", default=0, highest=MAX_OFFSET, lowest=0),
            integer_query(request, "n", default=20, highest=MAX_MATCHES),
        )
        return json_reply(await self._engine.executor.run(lambda: self._search(wanted)))

    async def statistics(self, request: Request) -> Response:
        """How often an item was shown, clicked and bought, and its events, by day."""
        item_id = path_id(request, "item_id")
        period = self._period(request)
        return json_reply(await self._engine.executor.run(lambda: self._statistics(item_id, period)))

    def _period(self, request: Request) -> ItemPeriod:
        query, services = request.query_params, self._services
        since_day, until_day = days_of(query.get("since"), query.get("until"), clock=services.clock)
        if until_day - since_day >= MAX_DAYS:
            msg = f"since: wanted at most {MAX_DAYS} days before the last one, got {shorten(query.get('since'))}"
            raise InvalidInput(msg, field="since")
        today = services.clock.now_ms() // DAY_MS
        return ItemPeriod(since_day, until_day, today, services.types.flagged("window"), services.impressions)

    def _search(self, wanted: ItemQuery) -> dict[str, object]:
        snapshot = self._services.snapshots.current()
        rows = search_rows(snapshot, wanted.words, category=wanted.category)
        if wanted.only_hidden:
            rows = rows[~snapshot.catalogue.listed[rows]]
        with self._services.store.read() as read:
            if wanted.period is not None:
                keys = snapshot.catalogue.keys[rows]
                rows = rows[order_items(read, keys, wanted.order, wanted.period, ascending=wanted.ascending)]
            page, next_offset = _read_matches(read, snapshot, rows, wanted.offset, wanted.n)
            items = [item_out(stored) for stored in page]
            if wanted.period is not None:
                statistics = item_statistics(read, [stored.key for stored in page], wanted.period)
                pairs = zip(items, statistics, strict=True)
                items = [item | {"statistics": schemas.statistics_out(numbers)} for item, numbers in pairs]
        return {"items": items, "matching": len(rows), "next_offset": next_offset}

    def _statistics(self, item_id: str, period: ItemPeriod) -> dict[str, object]:
        types = self._services.types
        with self._services.store.read() as read:
            stored = read.items.by_id([item_id]).get(item_id)
            if stored is None:
                msg = f"item {item_id!r} is not known: it was never put, and no event named it"
                raise NotFound(msg)
            (total,) = item_statistics(read, [stored.key], period)
            history = item_history(read, stored.key, period=period, type_codes=sorted(types.kinds))
        return schemas.history_out(history, total, types)


def _read_matches(
    read: ReadTransaction, snapshot: ServingSnapshot, rows: IntArray, offset: int, n: int
) -> tuple[list[StoredItem], int | None]:
    """The first n from `offset` on that are in the catalogue now, and the offset of the next page.

    Removed items and those known from events only are skipped.
    """
    matches: list[StoredItem] = []
    for first in range(offset, len(rows), MAX_MATCHES):
        keys: Sequence[int] = snapshot.catalogue.keys[rows[first : first + MAX_MATCHES]].tolist()
        stored = read.items.by_key(keys)
        for place, key in enumerate(keys, first + 1):
            if key in stored and stored[key].in_catalogue:
                matches.append(stored[key])
            if len(matches) == n:
                return matches, place if place < len(rows) else None
    return matches, None


def _only_hidden(value: str | None) -> bool:
    if value not in (None, "only"):
        msg = f"hidden: wanted only (or nothing), got {shorten(value)}"
        raise InvalidInput(msg, field="hidden")
    return value == "only"
