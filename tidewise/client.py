"""A client of the public HTTP API: what `tidewise replay` and the demo's tour use.

Knows nothing about how the server works; an answer that is no success becomes an `ApiError` with the server's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from core.errors import TidewiseError
from core.interactions import Interaction, shorten

OPTIONAL_FIELDS = ("value", "context", "recommendation_id")
Json = dict[str, Any]


class ApiError(TidewiseError):
    """The server could not be reached, or refused.

    Operator action: check that `tidewise up` runs at the address in the message, and read the server's reason.
    """


class Client:
    """The API at one address. Use it in a `with` block: it keeps its connection."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def send(self, events: Sequence[Json], *, wait: bool = False) -> list[Json]:
        """Post events; returns what became of each, in their order. `wait`: once the next answer knows them."""
        params = {"wait": "applied"} if wait else {}
        body = {"events": list(events)}
        results: list[Json] = self._call("POST", "/v1/interactions", json=body, params=params)["results"]
        return results

    def recommend(self, user_id: str, *, n: int = 10, category: str | None = None) -> Json:
        """A user's recommendations."""
        params = {"n": str(n)} | ({"category": category} if category else {})
        return self._call("GET", f"/v1/users/{_part(user_id)}/recommendations", params=params)

    def similar(self, item_id: str, *, n: int = 10) -> Json:
        """The items most like one."""
        return self._call("GET", f"/v1/items/{_part(item_id)}/similar", params={"n": str(n)})

    def popular(self, *, n: int = 10, category: str | None = None) -> Json:
        """What is popular lately."""
        params = {"n": str(n)} | ({"category": category} if category else {})
        return self._call("GET", "/v1/items/popular", params=params)

    def item(self, item_id: str) -> Json:
        """One item of the catalogue."""
        return self._call("GET", f"/v1/items/{_part(item_id)}")

    def status(self) -> Json:
        """What the server holds and which model serves."""
        return self._call("GET", "/v1/status")

    def interests(self, user_id: str) -> Json:
        """What a user turns to, and whether that moved."""
        return self._call("GET", f"/v1/users/{_part(user_id)}/interests")

    def drift(self) -> Json:
        """What the monitor found: alarms, and the signals of the last day."""
        return self._call("GET", "/v1/drift", params={"days": "1"})

    def models(self) -> Json:
        """All model versions, the newest first, and every change of what serves."""
        return self._call("GET", "/v1/models")

    def put_item(self, item_id: str, fields: Json) -> Json:
        """Put an item into the catalogue, or replace it."""
        return self._call("PUT", f"/v1/items/{_part(item_id)}", json=fields)

    def put_items(self, items: Sequence[Json]) -> Json:
        """Insert or replace many items, all under one revision."""
        return self._call("POST", "/v1/items", json={"items": list(items)})

    def _call(self, method: str, path: str, *, params: dict[str, str] | None = None, json: Json | None = None) -> Json:
        try:
            response = self._http.request(method, path, params=params, json=json)
        except httpx.HTTPError as error:
            msg = f"{method} {self.base_url}{path}: no answer ({error}); is `tidewise up` running there?"
            raise ApiError(msg) from None
        if not response.is_success:
            msg = f"{method} {self.base_url}{path}: answered {response.status_code}: {_reason(response)}"
            raise ApiError(msg)
        body: Json = response.json() if response.content else {}
        return body


def event_json(event: Interaction) -> Json:
    """An interaction as the API takes it."""
    given = {name: getattr(event, name) for name in OPTIONAL_FIELDS if getattr(event, name) is not None}
    return {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "type": event.type,
        "time": event.time_ms,
        **given,
    }


def _reason(response: httpx.Response) -> str:
    """The server's own words, from the one error shape where the answer has it."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return shorten(response.text, 300)


def _part(identifier: str) -> str:
    """An identifier as one part of a path."""
    return quote(identifier, safe="")
