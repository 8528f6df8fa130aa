"""The middleware that counts and times requests."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.session_cookie import DASHBOARD
from serving.runtime.activity import ActivitySampler
from serving.runtime.metrics import Metrics

PERSONAL_ROUTES = ("/v1/recommendations", "/v1/users/{user_id}/recommendations", "/v1/users/{user_id}/rank")
EVENTS_ROUTE = "/v1/interactions"
METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})


class MetricsMiddleware:
    """Counts and times requests by route; by path, every id would be a series.

    Requests that say they are the dashboard's have a label: any client may say so, and must not escape sums by that.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, activity: ActivitySampler) -> None:
        self._app = app
        self._metrics = metrics
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and measure."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        status = "disconnected"  # the client left before the answer

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        started_s = time.perf_counter()
        try:
            await self._app(scope, receive, note_status)
        finally:
            self._count(scope, status, time.perf_counter() - started_s)

    def _count(self, scope: Scope, status: str, took_s: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = _route(scope)
        client = "dashboard" if DASHBOARD in scope["headers"] else "other"
        self._metrics.count_request(method=method, route=route, client=client, status=status, took_s=took_s)
        if status == "200" and route in PERSONAL_ROUTES:
            self._activity.add_recommendation(took_s)
        elif status == "200" and route == EVENTS_ROUTE:  # not 202: queued events are applied elsewhere
            self._activity.add_applied(took_s)


def _route(scope: Scope) -> str:
    """The path template of the route; "none" for all unknown paths."""
    return str(getattr(scope.get("route"), "path_format", "none"))
