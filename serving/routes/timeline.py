"""The timeline over HTTP: events, promotions and alarms of a period."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from core.clock import DAY_MS
from core.timeline import read_timeline
from serving.http.replies import json_reply
from serving.http.requests import check_order, time_query
from serving.runtime.engine import Engine
from serving.schemas import timeline as schemas


class TimelineRoutes:
    """Reads stored aggregates, so that every process answers alike."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    def register(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/v1/timeline", self.get, methods=["GET"], **schemas.GET_TIMELINE)

    async def get(self, request: Request) -> Response:
        """Numbers of events over time, promotions and alarms."""
        now_ms = self._services.clock.now_ms()
        until_ms = time_query(request, "until", default=now_ms)
        since_ms = time_query(request, "since", default=until_ms - DAY_MS)
        check_order(since_ms, until_ms, request.query_params)
        period = {"now": now_ms, "since": since_ms, "until": until_ms}
        return json_reply(period | await self._engine.executor.run(lambda: self._read(since_ms, until_ms)))

    def _read(self, since_ms: int, until_ms: int) -> dict[str, object]:
        with self._services.store.read() as read:
            stream = None if self._services.log is None else self._services.log.name
            timeline = read_timeline(read, since_ms=since_ms, until_ms=until_ms, stream=stream)
        return schemas.timeline_out(timeline, self._services.types)
