"""Drift over HTTP: alarms, the signals behind them, and the mix of categories over time."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import Request, Response

from core.clock import DAY_MS, Clock
from core.drift.mix import read_mix
from core.drift.monitor import ROLE
from core.drift.records import BUCKET_MS, Alarm, Point
from core.ports import ModelRecord, Store
from serving.http.replies import json_reply
from serving.http.requests import check_fields, integer_query
from serving.runtime.engine import Engine

DEFAULT_DAYS, MOST_DAYS = 30, 3650
DEFAULT_LIMIT, HIGHEST_LIMIT = 100, 1000


class DriftRoutes:
    """What the monitor found."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, request: Request) -> Response:
        """Alarms, the newest first, and the signals of the last days."""
        check_fields(request.query_params, ("limit", "days"))
        limit = integer_query(request, "limit", default=DEFAULT_LIMIT, highest=HIGHEST_LIMIT)
        days = integer_query(request, "days", default=DEFAULT_DAYS, highest=MOST_DAYS)
        services = self._engine.services
        found = await self._engine.readers.run(
            lambda: told(services.store, clock=services.clock, limit=limit, days=days)
        )
        return json_reply(found)

    async def categories(self, request: Request) -> Response:
        """How events spread over categories, over time."""
        check_fields(request.query_params, ("days",))
        days = integer_query(request, "days", default=DEFAULT_DAYS, highest=MOST_DAYS)
        return json_reply(await self._engine.readers.run(lambda: self._mix(days)))

    def _mix(self, days: int) -> dict[str, Any]:
        with self._engine.services.store.read() as read:
            newest_ms = read.newest_event_ms() or 0
            mix = read_mix(read.drift, to_ms=newest_ms, span_ms=days * DAY_MS)
        return {
            "stretch_ms": mix.length_ms,
            "categories": mix.categories,
            "stretches": [{"start": one.start_ms, "events": dict(one.events)} for one in mix.stretches],
        }


def told(store: Store, *, clock: Clock, limit: int, days: int) -> dict[str, Any]:
    """What the monitor found, as it is sent."""
    with store.read() as read:
        last_ms = read.drift.last_bucket_ms()
        seen_to_ms = None if last_ms is None else last_ms + BUCKET_MS
        alarms = read.drift.alarms(limit=limit)
        points = read.drift.points(since_ms=(seen_to_ms or 0) - days * DAY_MS)
        champion, lease = read.champion(), read.lease(ROLE)
    return {
        "now": clock.now_ms(),
        "seen_to": seen_to_ms,
        "monitor": lease.holder if lease else None,
        "alarms": [alarm_as_json(alarm, champion) for alarm in alarms],
        "signals": [
            {"name": name, "segment": segment or None, "points": [_point(point) for point in several]}
            for (name, segment), several in groupby(points, lambda point: (point.signal, point.segment))
        ],
    }


def alarm_as_json(alarm: Alarm, champion: ModelRecord | None) -> dict[str, Any]:
    """An alarm as it is sent; another champion, made after it, has followed the change.

    Both are asked for: on the stream's clock a replay's alarms lie before all models; a rollback serves an older one.
    """
    followed = (
        champion is not None and champion.version != alarm.model_version and champion.created_ms > alarm.detected_ms
    )
    return {
        "id": alarm.alarm_id,
        "signal": alarm.signal,
        "segment": alarm.segment or None,
        "detected": alarm.detected_ms,
        "onset": alarm.onset_ms,
        "before": alarm.before,
        "after": alarm.after,
        "cause": alarm.cause,
        "model_version": alarm.model_version,
        "status": "followed" if followed else "open",
        "sent": alarm.sent_ms,
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "start": point.start_ms,
        "end": point.end_ms,
        "events": point.num,
        "value": point.value,
        "expected": point.expected,
    }
