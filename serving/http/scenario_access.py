"""Keys that are limited to scenarios: they may ask for recommendations by those, and for nothing else.

Such a key is in a page or a partner's program: with `explain` it could read what any user had done.

`next` continues such an answer without naming the scenario: only who got the first page has its signed cursor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fastapi import Request

from core.events.interactions import shorten
from serving.http.replies import HTTPError

SCENARIOS = "scenarios"  # in the state of a request: the names that its key is limited to


def is_recommendation(method: str, path: str) -> bool:
    """Whether a request asks for the next items of a user or a session, which a scenario can answer."""
    of_user = method == "GET" and path.startswith("/v1/users/") and path.endswith("/recommendations")
    return of_user or (method == "POST" and path == "/v1/recommendations")


def check_permitted(request: Request, asked: Mapping[str, object]) -> None:
    """Raise `HTTPError` (403) where the key of the request is limited, and this asks for other scenarios or reasons.

    `asked`: the parameters or the fields of the request.
    """
    permitted: Collection[str] = request.scope.get("state", {}).get(SCENARIOS, ())
    name = asked.get("scenario")
    if permitted and name not in permitted:
        got = "none" if name is None else shorten(name)
        message = f"scenario: this key is limited to {', '.join(permitted)}; this request names {got}"
        raise HTTPError(403, "forbidden", message, field="scenario")
    if permitted and asked.get("explain") is not None:
        message = "explain: this key is limited to scenarios, and contributions are events of the user; leave it out"
        raise HTTPError(403, "forbidden", message, field="explain")
