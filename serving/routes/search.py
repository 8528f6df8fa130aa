"""Looking for items over HTTP: by words, and what categories there are."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from core.errors import InvalidInput
from core.history import IntArray
from core.interactions import check_id, shorten
from core.recommendation.search import search_rows
from core.recommendation.snapshot import ServingSnapshot
from serving.http.replies import json_reply
from serving.http.requests import check_fields, integer_query
from serving.routes.items import stored_item
from serving.runtime.engine import Engine

MAX_PAGE = 200
DEFAULT_PAGE = 20
MAX_QUERY_CHARS = 200


class SearchRoutes:
    """Reads the snapshot for what matches, the store for what each item says now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    async def search(self, request: Request) -> Response:
        """Catalogue items that hold all words of a query, the popular ones first; hidden ones too, or alone."""
        given = request.query_params
        check_fields(given, ("query", "category", "hidden", "n"))
        n = integer_query(request, "n", default=DEFAULT_PAGE, highest=MAX_PAGE)
        query = given.get("query", "")
        if len(query) > MAX_QUERY_CHARS:
            msg = f"query: wanted at most {MAX_QUERY_CHARS} characters, got {shorten(query)}"
            raise InvalidInput(msg, field="query")
        category = check_id("category", given["category"]) if given.get("category") else None
        hidden = _only_hidden(given.get("hidden"))
        return json_reply(await self._engine.readers.run(lambda: self._found(query.split(), category, hidden, n)))

    async def categories(self, _request: Request) -> Response:
        """Every category and how many items of it may be recommended."""
        return json_reply(await self._engine.readers.run(self._categories))

    def _found(self, words: list[str], category: str | None, hidden: bool, n: int) -> dict[str, Any]:
        snapshot = self._services.snapshots.current()
        rows = search_rows(snapshot, words, category=category)
        if hidden:
            rows = rows[~snapshot.catalogue.listed[rows]]
        return {"items": self._read(snapshot, rows, n), "matching": len(rows)}

    def _read(self, snapshot: ServingSnapshot, rows: IntArray, n: int) -> list[dict[str, Any]]:
        """The first n that are in the catalogue; what only events have named, or was removed, is passed over."""
        found: list[dict[str, Any]] = []
        with self._services.store.read() as read:
            for first in range(0, len(rows), MAX_PAGE):
                keys = snapshot.catalogue.keys[rows[first : first + MAX_PAGE]].tolist()
                stored = read.items(keys)
                found += [stored_item(stored[key]) for key in keys if key in stored and stored[key].in_catalogue]
                if len(found) >= n:
                    break
        return found[:n]

    def _categories(self) -> dict[str, Any]:
        catalogue = self._services.snapshots.current().catalogue
        sizes = {name: int(catalogue.listed[rows].sum()) for name, rows in catalogue.category_rows.items()}
        return {"categories": [{"category": name, "items": sizes[name]} for name in sorted(sizes)]}


def _only_hidden(value: str | None) -> bool:
    if value not in (None, "only"):
        msg = f"hidden: wanted only (or nothing), got {shorten(value)}"
        raise InvalidInput(msg, field="hidden")
    return value == "only"
