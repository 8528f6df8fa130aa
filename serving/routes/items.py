"""The catalogue over HTTP: read, insert, replace, patch and remove items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from core.access.audit import named
from core.catalogue.items import Item, parse_item
from core.catalogue.patches import parse_patch
from core.errors import InvalidItem, NotFound
from core.events.interactions import check_id
from core.manage import patch_items, remove_item, save_items
from core.records.stored import StoredItem
from serving.http.audit import audited
from serving.http.entries import read_entries, read_one
from serving.http.replies import json_reply
from serving.http.requests import integer_query, path_id
from serving.runtime.engine import Engine
from serving.schemas import items as schemas

MAX_PAGE = 1_000


class ItemRoutes:
    """Reads come from the store; changes go through the writer, after the events that came before them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._store = engine.services.store

    def register(self, router: APIRouter) -> None:
        """Add the routes; those with fixed names first, because an id matches every path."""
        item = "/v1/items/{item_id:path}"
        router.add_api_route("/v1/items", self.list_page, methods=["GET"], **schemas.GET_ITEMS)
        router.add_api_route("/v1/items", self.post, methods=["POST"], **schemas.POST_ITEMS)
        router.add_api_route("/v1/items", self.patch_many, methods=["PATCH"], **schemas.PATCH_ITEMS)
        router.add_api_route(item, self.get, methods=["GET"], **schemas.GET_ITEM)
        router.add_api_route(item, self.put, methods=["PUT"], **schemas.PUT_ITEM)
        router.add_api_route(item, self.patch, methods=["PATCH"], **schemas.PATCH_ITEM)
        router.add_api_route(item, self.delete, methods=["DELETE"], **schemas.DELETE_ITEM)
        router.add_api_route("/v1/categories", self.categories, methods=["GET"], **schemas.GET_CATEGORIES)

    async def list_page(self, request: Request) -> Response:
        """A page of catalogue items in ascending id."""
        limit = integer_query(request, "limit", default=100, highest=MAX_PAGE)
        after = request.query_params.get("after", "")
        page = await self._engine.executor.run(
            lambda: self._read_page(check_id("after", after) if after else "", limit)
        )
        next_after = page[-1].item.item_id if len(page) == limit else None
        return json_reply({"items": [schemas.item_out(stored) for stored in page], "next_after": next_after})

    async def get(self, request: Request) -> Response:
        """One catalogue item."""
        item_id = path_id(request, "item_id")
        return json_reply(schemas.item_out(await self._engine.executor.run(lambda: self._read_item(item_id))))

    async def put(self, request: Request) -> Response:
        """Insert or replace one item; the next answer knows the change."""
        item = parse_item(await read_one(request, self._engine, "item_id"))
        revision = await self._save([item])
        return json_reply({"item_id": item.item_id, "status": "accepted", "revision": revision})

    async def post(self, request: Request) -> Response:
        """Insert or replace one item or many, all in one revision; each gets its own outcome."""
        entries = await read_entries(request, self._engine, "items", parse_item)
        revision = await self._save(entries.valid)
        return json_reply({"revision": revision, **entries.outcomes("item_id", lambda item: item.item_id)})

    async def patch(self, request: Request) -> Response:
        """Change the given fields of one item."""
        patch = parse_patch(await read_one(request, self._engine, "item_id"))
        revision, (problem,) = await self._patch(request, [patch])
        if problem is not None:
            raise problem
        return json_reply({"item_id": patch["item_id"], "status": "accepted", "revision": revision})

    async def patch_many(self, request: Request) -> Response:
        """Change fields of many items in one revision; each gets its own outcome."""
        entries = await read_entries(request, self._engine, "items", parse_patch)
        revision, problems = await self._patch(request, entries.valid)
        outcomes = entries.outcomes("item_id", lambda patch: str(patch["item_id"]), problems)
        return json_reply({"revision": revision, **outcomes})

    async def delete(self, request: Request) -> Response:
        """Remove an item from the catalogue; events with it are still trained on."""
        item_id = path_id(request, "item_id")
        await self._engine.writer.run(lambda: self._remove(request, item_id))
        return json_reply({"item_id": item_id, "status": "removed"})

    async def categories(self, _request: Request) -> Response:
        """Every category and how many of its items may be recommended."""
        return json_reply(await self._engine.executor.run(self._categories))

    async def _patch(
        self, request: Request, patches: Sequence[dict[str, Any]]
    ) -> tuple[int, list[InvalidItem | NotFound | None]]:
        moved = [patch["item_id"] for patch in patches if "hidden" in patch]
        store = audited(self._services, request, "hide or show items", named(moved)) if moved else self._store

        def patch() -> tuple[int, list[InvalidItem | NotFound | None]]:
            revision, problems = patch_items(store, patches, clock=self._services.wall)
            self._services.items_changed()
            return revision, problems

        return await self._engine.writer.run(patch)

    async def _save(self, items: Sequence[Item]) -> int:
        def save() -> int:
            revision = save_items(self._store, items, clock=self._services.wall)
            self._services.items_changed()
            return revision

        return await self._engine.writer.run(save)

    def _remove(self, request: Request, item_id: str) -> None:
        remove_item(audited(self._services, request, "remove item", item_id), item_id, clock=self._services.wall)
        self._services.items_changed()

    def _read_page(self, after: str, limit: int) -> list[StoredItem]:
        with self._store.read() as read:
            return read.items.page(after=after, limit=limit)

    def _read_item(self, item_id: str) -> StoredItem:
        with self._store.read() as read:
            stored = read.items.by_id([item_id]).get(item_id)
        if stored is None or not stored.in_catalogue:
            known = "only events have named it" if stored and not stored.item.hidden else "it was never put, or removed"
            msg = f"item {item_id!r} is not in the catalogue ({known}); PUT it to add it"
            raise NotFound(msg)
        return stored

    def _categories(self) -> dict[str, object]:
        catalogue = self._services.snapshots.current().catalogue
        listed = catalogue.listed_at(self._services.clock.now_ms())
        sizes = {name: int(listed[rows].sum()) for name, rows in catalogue.category_rows.items()}
        return {"categories": [{"category": name, "items": sizes[name]} for name in sorted(sizes)]}
