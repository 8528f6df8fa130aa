"""The audit log over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from core.records.stored import AuditEntry
from serving.http.replies import json_reply
from serving.http.requests import integer_query
from serving.runtime.engine import Engine
from serving.schemas import audit as schemas

MAX_PAGE = 1_000
MAX_KEY = 2**62


class AuditRoutes:
    """Reads what was changed by hand."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def register(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/v1/audit", self.page, methods=["GET"], **schemas.GET_AUDIT)

    async def page(self, request: Request) -> Response:
        """A page of entries, newest first."""
        limit = integer_query(request, "limit", default=100, highest=MAX_PAGE)
        before = integer_query(request, "before", default=MAX_KEY, highest=MAX_KEY)
        entries = await self._engine.executor.run(lambda: self._read(before, limit))
        next_before = entries[-1].key if len(entries) == limit else None
        return json_reply({"entries": [entry.to_json() for entry in entries], "next_before": next_before})

    def _read(self, before: int, limit: int) -> list[AuditEntry]:
        with self._engine.services.store.read() as read:
            return read.audit.page(before=before, limit=limit)
