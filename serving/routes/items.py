"""The catalogue over HTTP: read, put, delete and bulk import items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response

from core.errors import InvalidInput, InvalidItem, NotFound
from core.interactions import check_id, shorten
from core.items import Item, parse_item
from core.manage import remove_item, save_items
from core.ports import StoredItem
from serving.http.replies import HTTPError, json_reply, reason_of
from serving.http.requests import check_fields, integer_query, many_or_one, path_id, read_json
from serving.runtime.engine import Engine

MAX_PAGE = 1_000


class ItemRoutes:
    """Reading and changing the catalogue. Changes go through the writer, after the events that came before them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.services.store

    async def list_page(self, request: Request) -> Response:
        """A page of catalogue items in the order of their ids."""
        check_fields(request.query_params, ("after", "limit"))
        limit = integer_query(request, "limit", default=100, highest=MAX_PAGE)
        after = request.query_params.get("after", "")
        page = await self._engine.readers.run(lambda: self._read_page(check_id("after", after) if after else "", limit))
        last = page[-1].item.item_id if len(page) == limit else None
        return json_reply({"items": [stored_item(one) for one in page], "next_after": last})

    async def get(self, request: Request) -> Response:
        """One catalogue item."""
        item_id = path_id(request, "item_id")
        return json_reply(stored_item(await self._engine.readers.run(lambda: self._read_one(item_id))))

    async def put(self, request: Request) -> Response:
        """Insert or replace one item; from the next answer on it counts as it is now."""
        item_id = path_id(request, "item_id")
        body = await read_json(request, max_bytes=self._engine.limits.max_body_bytes)
        if isinstance(body, dict) and body.setdefault("item_id", item_id) != item_id:
            msg = f"item_id: the path says {shorten(item_id)}, the body {shorten(body['item_id'])}; leave it out there"
            raise InvalidInput(msg, field="item_id")
        item = parse_item(body)
        revision = await self._save([item])
        return json_reply({"item_id": item.item_id, "status": "accepted", "revision": revision})

    async def post(self, request: Request) -> Response:
        """Insert or replace one item or many; answers each for itself. All take effect together."""
        body = await read_json(request, max_bytes=self._engine.limits.max_body_bytes)
        raw, single = many_or_one(body, "items", limit=self._engine.limits.max_events)
        parsed = await self._engine.readers.run(lambda: [_parsed(one) for one in raw])
        items = [one for one in parsed if isinstance(one, Item)]
        if not items:
            raise _none_valid(parsed, single=single)
        revision = await self._save(items)
        results = [_fate(one) for one in parsed]
        sums = {"accepted": len(items), "rejected": len(parsed) - len(items)}
        return json_reply({"revision": revision, **sums, "results": results})

    async def delete(self, request: Request) -> Response:
        """Take an item out of the catalogue; what users did with it stays learnt from."""
        item_id = path_id(request, "item_id")
        await self._engine.writer.run(lambda: self._remove(item_id))
        return json_reply({"item_id": item_id, "status": "removed"})

    async def _save(self, items: Sequence[Item]) -> int:
        return await self._engine.writer.run(lambda: self._saved(items))

    def _saved(self, items: Sequence[Item]) -> int:
        revision = save_items(self._store, items, clock=self._engine.services.wall)
        self._engine.services.items_changed()
        return revision

    def _remove(self, item_id: str) -> None:
        remove_item(self._store, item_id, clock=self._engine.services.wall)
        self._engine.services.items_changed()

    def _read_page(self, after: str, limit: int) -> list[StoredItem]:
        with self._store.read() as read:
            return read.list_items(after=after, limit=limit)

    def _read_one(self, item_id: str) -> StoredItem:
        with self._store.read() as read:
            stored = read.items_by_id([item_id]).get(item_id)
        if stored is None or not stored.in_catalogue:
            known = "only events have named it" if stored and not stored.item.hidden else "it was never put, or removed"
            msg = f"item {item_id!r} is not in the catalogue ({known}); PUT it to add it"
            raise NotFound(msg)
        return stored


def _parsed(raw: Any) -> Item | dict[str, Any]:
    try:
        return parse_item(raw)
    except InvalidItem as error:
        return reason_of(error)


def _fate(parsed: Item | dict[str, Any]) -> dict[str, Any]:
    if isinstance(parsed, Item):
        return {"status": "accepted", "item_id": parsed.item_id}
    return {"status": "rejected", "error": parsed}


def _none_valid(parsed: list[Any], *, single: bool) -> HTTPError:
    if single:
        return HTTPError(422, "invalid_input", parsed[0]["message"], field=parsed[0].get("field"))
    message = f"none of the {len(parsed)} items is valid; details says why, item by item, in the order given"
    return HTTPError(422, "invalid_input", message, field="items", details=parsed)


def stored_item(stored: StoredItem) -> dict[str, Any]:
    """An item as it is sent."""
    item = stored.item
    return {
        "item_id": item.item_id,
        "title": item.title,
        "text": item.text,
        "categories": item.categories,
        "attributes": item.attributes,
        "hidden": item.hidden,
        "revision": stored.revision,
        "updated": stored.updated_ms,
    }
