"""Routes that accept the query parameters of their documentation, and no others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serving.http.requests import check_query

CHECKED = "/v1/"  # not health and metrics, which load balancers ask for in ways of their own


class CheckedRoute(APIRoute):
    """Refuses a request with an unknown query parameter, or with one that is given twice and may not be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint behind the check."""
        answer = super().get_route_handler()
        if not self.path.startswith(CHECKED):
            return answer
        documented = [each for each in (self.openapi_extra or {}).get("parameters", ()) if each["in"] == "query"]
        known = [each["name"] for each in documented]
        repeatable = [each["name"] for each in documented if each["schema"].get("type") == "array"]

        async def checked(request: Request) -> Response:
            check_query(request.query_params, known, repeatable=repeatable)
            return await answer(request)

        return checked
