"""Model versions over HTTP: what there is, what serves, and changing it. A change takes effect here at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request, Response

from core.errors import InvalidInput
from core.interactions import shorten
from core.learn.versions import named, promote, roll_back
from core.ports import Promotion
from serving.http.replies import json_reply
from serving.http.requests import path_id, read_object
from serving.runtime.engine import Engine

DECIDED_BY = "api"
MAX_REASON_CHARS = 1000


class ModelRoutes:
    """List, show, promote, roll back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    async def list_all(self, _request: Request) -> Response:
        """All versions, newest first, and every change of what serves."""
        return json_reply(await self._engine.readers.run(self._list))

    async def get(self, request: Request) -> Response:
        """One version with its whole lineage."""
        version = path_id(request, "version")
        return json_reply(await self._engine.readers.run(lambda: self._one(version)))

    async def promote(self, request: Request) -> Response:
        """Let a version serve."""
        version = path_id(request, "version")
        body = await self._body(request, "reason", "force")
        force = body.get("force", False)
        if not isinstance(force, bool):
            msg = f"force: wanted true or false, got {shorten(force)}"
            raise InvalidInput(msg, field="force")
        return await self._change(lambda tx, **facts: promote(tx, version, force=force, **facts), _reason(body))

    async def roll_back(self, request: Request) -> Response:
        """Let the version serve again that served before."""
        return await self._change(roll_back, _reason(await self._body(request, "reason")))

    async def _change(self, change: Callable[..., Promotion], reason: str) -> Response:
        def work() -> Promotion:
            with self._services.store.transaction() as tx:
                done = change(tx, decided_by=DECIDED_BY, reason=reason, now_ms=self._services.wall.now_ms())
                tx.commit()
            self._services.items_changed()
            return done

        return json_reply((await self._engine.writer.run(work)).to_json())

    async def _body(self, request: Request, *fields: str) -> dict[str, Any]:
        max_bytes = self._services.limits.max_body_bytes
        return await read_object(request, fields, max_bytes=max_bytes, optional=True)

    def _list(self) -> dict[str, Any]:
        model = self._services.snapshots.current().model
        with self._services.store.read() as read:
            models, promotions = read.models(), read.promotions()
        return {
            "serving": model.version if model else None,
            "models": [record.to_json() for record in models],
            "promotions": [promotion.to_json() for promotion in promotions],
        }

    def _one(self, version: str) -> dict[str, Any]:
        with self._services.store.read() as read:
            return named(read.models(), version).to_json()


def _reason(body: dict[str, Any]) -> str:
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON_CHARS:
        msg = f"reason: wanted text of at most {MAX_REASON_CHARS} characters, got {shorten(reason)}"
        raise InvalidInput(msg, field="reason")
    return reason
