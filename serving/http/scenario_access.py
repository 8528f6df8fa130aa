"""Keys that are limited to scenarios: they may ask for recommendations by those, and for nothing else.

`next` continues such an answer without naming the scenario: only who got the first page has its signed cursor.
"""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request

from core.events.interactions import shorten
from serving.http.replies import HTTPError

SCENARIOS = "scenarios"  # in the state of a request: the names that its key is limited to


def is_recommendation(method: str, path: str) -> bool:
    """Whether a request asks for the next items of a user or a session, which a scenario can answer."""
    of_user = method == "GET" and path.startswith("/v1/users/") and path.endswith("/recommendations")
    return of_user or (method == "POST" and path == "/v1/recommendations")


def check_scenario(request: Request, name: object) -> None:
    """Raise `HTTPError` (403) where the key of the request is limited to other scenarios."""
    permitted: Collection[str] = request.scope.get("state", {}).get(SCENARIOS, ())
    if permitted and name not in permitted:
        got = "none" if name is None else shorten(name)
        message = f"scenario: this key is limited to {', '.join(permitted)}; this request names {got}"
        raise HTTPError(403, "forbidden", message, field="scenario")
