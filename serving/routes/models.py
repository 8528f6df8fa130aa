"""Model versions over HTTP: list, promote, roll back. A change takes effect in this process at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request, Response

from core.access.audit import AuditedStore
from core.errors import InvalidInput
from core.events.interactions import shorten
from core.learn.versions import named, predecessor, promote, roll_back
from core.records.statuses import ModelStatus
from core.records.stored import ModelRecord, Promotion
from serving.http.audit import audited
from serving.http.replies import json_reply
from serving.http.requests import path_id, read_object
from serving.runtime.engine import Engine
from serving.schemas import models as schemas
from serving.schemas.base import Schema

DECIDED_BY = "api"
MAX_REASON_CHARS = 1000


class ModelRoutes:
    """Changes go through the writer, as every change does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    def register(self, router: APIRouter) -> None:
        """Add the routes; the one with a fixed name first, because a version matches every path."""
        version = "/v1/models/{version:path}"
        router.add_api_route("/v1/models", self.list_all, methods=["GET"], **schemas.GET_MODELS)
        router.add_api_route(f"{version}/promote", self.promote, methods=["POST"], **schemas.POST_PROMOTE)
        router.add_api_route("/v1/models/rollback", self.roll_back, methods=["POST"], **schemas.POST_ROLLBACK)
        router.add_api_route(version, self.get, methods=["GET"], **schemas.GET_MODEL)

    async def list_all(self, _request: Request) -> Response:
        """All versions and all promotions, newest first."""
        return json_reply(await self._engine.executor.run(self._list))

    async def get(self, request: Request) -> Response:
        """One version with its lineage."""
        version = path_id(request, "version")
        return json_reply(await self._engine.executor.run(lambda: self._read_version(version)))

    async def promote(self, request: Request) -> Response:
        """Make a version the champion."""
        version = path_id(request, "version")
        body = await self._body(request, schemas.PromoteIn)
        force = body.get("force", False)
        if not isinstance(force, bool):
            msg = f"force: wanted true or false, got {shorten(force)}"
            raise InvalidInput(msg, field="force")
        return await self._change(
            lambda tx, **facts: promote(tx, version, force=force, **facts),
            _reason(body),
            audited(self._services, request, "promote model", version),
        )

    async def roll_back(self, request: Request) -> Response:
        """Make the previous champion serve again."""
        reason = _reason(await self._body(request, schemas.RollbackIn))
        return await self._change(roll_back, reason, audited(self._services, request, "roll back model"))

    async def _change(self, change: Callable[..., Promotion], reason: str, store: AuditedStore) -> Response:
        def apply() -> Promotion:
            with store.transaction() as tx:
                promotion = change(tx, decided_by=DECIDED_BY, reason=reason, now_ms=self._services.wall.now_ms())
                tx.commit()
            self._services.champion_changed()
            return promotion

        return json_reply((await self._engine.writer.run(apply)).to_json())

    async def _body(self, request: Request, schema: type[Schema]) -> dict[str, object]:
        max_bytes = self._services.limits.max_object_bytes
        return await read_object(request, tuple(schema.model_fields), max_bytes=max_bytes, optional=True)

    def _list(self) -> dict[str, object]:
        model = self._services.snapshots.current().model
        with self._services.store.read() as read:
            models, promotions = read.models.all(), read.models.promotions()
        return {
            "serving": model.version if model else None,
            "rollback_to": _rollback_target(models, promotions),
            "models": [record.to_json() for record in models],
            "promotions": [promotion.to_json() for promotion in promotions],
        }

    def _read_version(self, version: str) -> dict[str, object]:
        with self._services.store.read() as read:
            return named(read.models.all(), version).to_json()


def _rollback_target(models: Sequence[ModelRecord], promotions: Sequence[Promotion]) -> str | None:
    champion = next((model for model in models if model.status == ModelStatus.CHAMPION), None)
    target = None if champion is None else predecessor(models, promotions, champion)
    return None if target is None else target.version


def _reason(body: dict[str, object]) -> str:
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON_CHARS:
        msg = f"reason: wanted text of at most {MAX_REASON_CHARS} characters, got {shorten(reason)}"
        raise InvalidInput(msg, field="reason")
    return reason
