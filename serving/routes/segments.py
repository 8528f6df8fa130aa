"""Segments over HTTP: list and change them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from core.definitions.kinds import SEGMENT, delete_definition
from core.users.segments import FIELDS, save_segment
from serving.http.audit import audited, change_author
from serving.http.replies import json_reply
from serving.http.requests import path_id, read_object
from serving.runtime.engine import Engine
from serving.schemas import segments as schemas
from serving.schemas.definitions import revision_out


class SegmentRoutes:
    """A change takes effect in this process at once, in other processes when they next read the definitions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._segments = engine.services.segments

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        segments, segment = "/v1/segments", "/v1/segments/{name}"
        router.add_api_route(segments, self.list_all, methods=["GET"], **schemas.GET_SEGMENTS)
        router.add_api_route(segment, self.get, methods=["GET"], **schemas.GET_SEGMENT)
        router.add_api_route(segment, self.put, methods=["PUT"], **schemas.PUT_SEGMENT)
        router.add_api_route(segment, self.delete, methods=["DELETE"], **schemas.DELETE_SEGMENT)

    async def list_all(self, _request: Request) -> Response:
        """All segments, by name."""
        await self._engine.follow(self._segments)
        return json_reply({"segments": [schemas.segment_out(named) for named in self._segments.all().values()]})

    async def get(self, request: Request) -> Response:
        """One segment."""
        name = path_id(request, "name")
        await self._engine.follow(self._segments)
        return json_reply(schemas.segment_out(self._segments.named(name)))

    async def put(self, request: Request) -> Response:
        """Insert or replace a segment: one revision."""
        name, author, clock = path_id(request, "name"), change_author(request), self._services.wall
        definition = await read_object(request, FIELDS, max_bytes=self._services.limits.max_object_bytes)
        store = audited(self._services, request, "store segment", name)
        change = await self._engine.change_definition(
            self._segments, lambda: save_segment(store, name, definition, author=author, clock=clock)
        )
        return json_reply(revision_out(change))

    async def delete(self, request: Request) -> Response:
        """Delete a segment; filters that name it hold for no user."""
        name, author, clock = path_id(request, "name"), change_author(request), self._services.wall
        store = audited(self._services, request, "delete segment", name)
        change = await self._engine.change_definition(
            self._segments, lambda: delete_definition(store, SEGMENT, name, author=author, clock=clock)
        )
        return json_reply(revision_out(change))
