"""Drift over HTTP: alarms and signals."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from core.clock import DAY_MS, Clock
from core.drift.monitor import ROLE
from core.ports.store import Store
from core.records.drift import BUCKET_MS
from serving.http.replies import json_reply
from serving.http.requests import integer_query
from serving.runtime.engine import Engine
from serving.schemas import drift as schemas

DEFAULT_DAYS, MAX_DAYS = 30, 3650
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000


class DriftRoutes:
    """Reads what the monitor has stored."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def register(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/v1/drift", self.get, methods=["GET"], **schemas.GET_DRIFT)

    async def get(self, request: Request) -> Response:
        """Alarms, newest first, and the signals of the last days."""
        limit = integer_query(request, "limit", default=DEFAULT_LIMIT, highest=MAX_LIMIT)
        days = integer_query(request, "days", default=DEFAULT_DAYS, highest=MAX_DAYS)
        services = self._engine.services
        report = await self._engine.executor.run(
            lambda: drift_report(services.store, clock=services.clock, limit=limit, days=days)
        )
        return json_reply(report)


def drift_report(store: Store, *, clock: Clock, limit: int, days: int) -> dict[str, object]:
    """The monitor's alarms and signals, as `schemas.DriftOut`."""
    with store.read() as read:
        last_ms = read.drift.last_bucket_ms()
        through_ms = None if last_ms is None else last_ms + BUCKET_MS
        alarms = read.drift.alarms(limit=limit)
        points = read.drift.points(since_ms=(through_ms or 0) - days * DAY_MS)
        models, promotions = read.models.all(), read.models.promotions()
        lease = read.leases.find(ROLE)
    return {
        "now": clock.now_ms(),
        "monitored_through": through_ms,
        "monitor": lease.holder if lease else None,
        "alarms": [schemas.alarm_out(alarm, models, promotions) for alarm in alarms],
        "signals": schemas.signals_out(points),
    }
