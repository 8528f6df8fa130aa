"""Routes that accept the query parameters of their documentation, and no others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property
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

        async def checked(request: Request) -> Response:
            self.check(request)
            return await answer(request)

        return checked

    def check(self, request: Request) -> None:
        """Raise `InvalidInput` for a query parameter that the documentation does not have, or not twice."""
        if request.scope["query_string"] and self.path.startswith(CHECKED):
            check_query(request.query_params, self._known, repeatable=self._repeatable)

    @cached_property
    def _known(self) -> list[str]:
        return [each["name"] for each in self._documented]

    @cached_property
    def _repeatable(self) -> list[str]:
        return [each["name"] for each in self._documented if each["schema"].get("type") == "array"]

    @property
    def _documented(self) -> list[dict[str, Any]]:
        return [each for each in (self.openapi_extra or {}).get("parameters", ()) if each["in"] == "query"]
