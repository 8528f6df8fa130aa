"""Direct routes: the endpoints that a shop calls all day, without the router's search and its dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.checked_route import CheckedRoute
from serving.http.replies import error_reply


class DirectRoutes:
    """Calls the endpoint of one of these routes itself; everything else goes to the router.

    The router keeps them too, for the API reference and for other methods. Their endpoints take only a request.
    """

    def __init__(self, router: ASGIApp, routes: Sequence[CheckedRoute]) -> None:
        self._router = router
        self._routes = [(method, route) for route in routes for method in route.methods or ()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        route = self._matching(scope) if scope["type"] == "http" else None
        if route is None:
            return await self._router(scope, receive, send)
        endpoint: Any = route.endpoint
        request = Request(scope, receive)
        try:
            route.check(request)
            reply: Response = await endpoint(request)
        except Exception as error:
            reply = await error_reply(request, error)
        await reply(scope, receive, send)

    def _matching(self, scope: Scope) -> CheckedRoute | None:
        """The route of a request, which is put into the scope as the router would."""
        for method, route in self._routes:
            if scope["method"] == method and (found := route.path_regex.match(scope["path"])):
                scope.update(route=route, path_params=found.groupdict())
                return route
        return None
