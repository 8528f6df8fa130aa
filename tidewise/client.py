"""A client of the public HTTP API; `tidewise.async_client` has the same calls for asyncio.

Independent of the server's code; an unsuccessful response raises `ApiError` with the server's message. A call that may
be repeated without another effect is, where the server gave no answer or was not ready.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from core.errors import TidewiseError
from core.events.interactions import Interaction, shorten

BATCH_EVENTS = 1_000  # of one request
PAUSE_S = 0.2  # before the first repetition; doubled for each further one
NOT_READY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE})
OPTIONAL_FIELDS = ("value", "context", "recommendation_id")
Json = dict[str, Any]


class ApiError(TidewiseError):
    """The server could not be reached, or answered with an error.

    Operator action: check that `tidewise up` runs at the address in the message, and read the server's message.
    """


class Client:
    """The API at a URL, with persistent connections: use it in a `with` block. Thread-safe.

    `retries`: how often a call is repeated that has no answer, or is answered 429, 502 or 503.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.base_url = base_url.rstrip("/")
        self._retries = retries
        self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, events: Sequence[Json], *, wait: bool = False) -> list[Json]:
        """Post any number of events, in order; returns the outcome of each. `wait`: return after they are applied.

        An event without id and time gets an id, so that its repetition counts once.
        """
        params = {"wait": "applied"} if wait else {}
        results: list[Json] = []
        for begin in range(0, len(events), BATCH_EVENTS):
            body = {"events": [_identified(event) for event in events[begin : begin + BATCH_EVENTS]]}
            results += self._call("POST", "/v1/interactions", json=body, params=params, repeatable=True)["results"]
        return results

    def undo(self, event_id: str) -> Json:
        """Undo an event: everything is as if it had never been sent."""
        return self._call("DELETE", f"/v1/interactions/{_part(event_id)}", repeatable=True)

    def merge(self, user_id: str, from_id: str) -> Json:
        """Merge a guest into a user: both histories become one, and both ids mean the user."""
        return self._call("POST", f"/v1/users/{_part(user_id)}/merge", json={"from": from_id}, repeatable=True)

    def user(self, user_id: str) -> Json:
        """A user with attributes."""
        return self._call("GET", f"/v1/users/{_part(user_id)}")

    def put_users(self, users: Sequence[Json]) -> Json:
        """Replace the attributes of many users: objects with `user_id` and `attributes`."""
        return self._call("POST", "/v1/users", json={"users": list(users)}, repeatable=True)

    def patch_user(self, user_id: str, attributes: Json) -> Json:
        """Change some attributes of a user; None removes one."""
        return self._call("PATCH", f"/v1/users/{_part(user_id)}", json={"attributes": attributes})

    def recommend(
        self, user_id: str, *, n: int | None = None, category: str | None = None, scenario: str | None = None
    ) -> Json:
        """A user's recommendations; by default as many as the scenario says, else 10."""
        given = {"n": None if n is None else str(n), "category": category, "scenario": scenario}
        params = {name: value for name, value in given.items() if value is not None}
        return self._call("GET", f"/v1/users/{_part(user_id)}/recommendations", params=params)

    def pages(self, user_id: str, *, n: int = 10, scenario: str | None = None) -> Iterator[Json]:
        """A user's recommendations page by page, until the list ends; no item comes twice."""
        path = f"/v1/users/{_part(user_id)}/recommendations"
        params = {"n": str(n), "pages": "true"} | ({"scenario": scenario} if scenario else {})
        page = self._call("GET", path, params=params)
        yield page
        while page["next"]:
            page = self._call("GET", path, params={"n": str(n), "next": page["next"]})
            yield page

    def recommend_all(self, user_ids: Sequence[str], *, n: int = 10) -> list[Json]:
        """The recommendations of up to 100 users, in their order."""
        users: list[Json] = self._call(
            "POST", "/v1/recommendations", json={"users": list(user_ids), "n": n}, repeatable=True
        )["users"]
        return users

    def similar(self, item_id: str, *, n: int = 10) -> Json:
        """The items most similar to an item."""
        return self._call("GET", f"/v1/items/{_part(item_id)}/similar", params={"n": str(n)})

    def popular(self, *, n: int = 10, category: str | None = None) -> Json:
        """The most popular items."""
        params = {"n": str(n)} | ({"category": category} if category else {})
        return self._call("GET", "/v1/items/popular", params=params)

    def item(self, item_id: str) -> Json:
        """An item of the catalogue."""
        return self._call("GET", f"/v1/items/{_part(item_id)}")

    def status(self) -> Json:
        """The server's counts and its serving model."""
        return self._call("GET", "/v1/status")

    def interests(self, user_id: str) -> Json:
        """A user's interests, and whether they drift."""
        return self._call("GET", f"/v1/users/{_part(user_id)}/interests")

    def drift(self) -> Json:
        """The drift alarms, and the signals of the last day."""
        return self._call("GET", "/v1/drift", params={"days": "1"})

    def outcomes(self, *, by: str = "scenario", since: str | None = None, until: str | None = None) -> Json:
        """Impressions, clicks, conversions and revenue of the answers of some days; by default of the last seven."""
        params = {"by": by} | {name: day for name, day in (("since", since), ("until", until)) if day is not None}
        return self._call("GET", "/v1/outcomes", params=params)

    def models(self) -> Json:
        """All model versions, newest first, and every promotion."""
        return self._call("GET", "/v1/models")

    def put_item(self, item_id: str, fields: Json) -> Json:
        """Insert or replace an item of the catalogue."""
        return self._call("PUT", f"/v1/items/{_part(item_id)}", json=fields)

    def put_items(self, items: Sequence[Json]) -> Json:
        """Insert or replace many items in one revision of the catalogue."""
        return self._call("POST", "/v1/items", json={"items": list(items)}, repeatable=True)

    def patch_item(self, item_id: str, fields: Json) -> Json:
        """Change the given fields of an item; `attributes` are merged by name, null removes."""
        return self._call("PATCH", f"/v1/items/{_part(item_id)}", json=fields)

    def patch_items(self, items: Sequence[Json]) -> Json:
        """Change fields of many items in one revision of the catalogue."""
        return self._call("PATCH", "/v1/items", json={"items": list(items)})

    def scenarios(self) -> list[Json]:
        """All scenarios, by name."""
        scenarios: list[Json] = self._call("GET", "/v1/scenarios")["scenarios"]
        return scenarios

    def put_scenario(self, name: str, definition: Json, *, author: str | None = None) -> Json:
        """Insert or replace a scenario; returns the revision."""
        return self._call("PUT", f"/v1/scenarios/{_part(name)}", json=definition, params=_author(author))

    def delete_scenario(self, name: str, *, author: str | None = None) -> Json:
        """Delete a stored scenario; returns the revision."""
        return self._call("DELETE", f"/v1/scenarios/{_part(name)}", params=_author(author))

    def scenario_revisions(self, name: str) -> list[Json]:
        """The stored revisions of a scenario, newest first."""
        revisions: list[Json] = self._call("GET", f"/v1/scenarios/{_part(name)}/revisions")["revisions"]
        return revisions

    def revert_scenario(self, name: str, revision: int, *, author: str | None = None) -> Json:
        """Take a scenario back to an older revision; returns the new one."""
        path = f"/v1/scenarios/{_part(name)}/revert"
        return self._call("POST", path, json={"revision": revision}, params=_author(author))

    def preview_scenario(self, user_id: str, definition: Json, *, scenario: str | None = None) -> Json:
        """A user's answers now, or under a stored scenario, and under a definition that is not stored."""
        body = {"user_id": user_id, "definition": definition, "scenario": scenario}
        return self._call("POST", "/v1/scenarios/preview", json=body)

    def put_segment(self, name: str, definition: Json, *, author: str | None = None) -> Json:
        """Insert or replace a segment of users; returns the revision."""
        return self._call("PUT", f"/v1/segments/{_part(name)}", json=definition, params=_author(author))

    def experiments(self) -> list[Json]:
        """All experiments, by name."""
        experiments: list[Json] = self._call("GET", "/v1/experiments")["experiments"]
        return experiments

    def put_experiment(self, name: str, definition: Json, *, author: str | None = None) -> Json:
        """Insert or replace an experiment; returns the revision."""
        return self._call("PUT", f"/v1/experiments/{_part(name)}", json=definition, params=_author(author))

    def stop_experiment(self, name: str, *, author: str | None = None) -> Json:
        """End an experiment now; returns the revision."""
        return self._call("POST", f"/v1/experiments/{_part(name)}/stop", params=_author(author))

    def delete_experiment(self, name: str, *, author: str | None = None) -> Json:
        """Delete an experiment; returns the revision."""
        return self._call("DELETE", f"/v1/experiments/{_part(name)}", params=_author(author))

    def experiment_results(self, name: str) -> Json:
        """The arms compared with the control, day by day."""
        return self._call("GET", f"/v1/experiments/{_part(name)}/results")

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: Json | None = None,
        repeatable: bool | None = None,
    ) -> Json:
        """`repeatable`: whether another try has no further effect; by default for GET, PUT and PATCH."""
        may_repeat = method in ("GET", "PUT", "PATCH") if repeatable is None else repeatable
        for attempt in range(self._retries if may_repeat else 0):
            with suppress(httpx.TransportError):
                response = self._http.request(method, path, params=params, json=json)
                if response.status_code not in NOT_READY:
                    return self._body(response, f"{method} {self.base_url}{path}")
            time.sleep(PAUSE_S * 2**attempt)
        try:
            response = self._http.request(method, path, params=params, json=json)
        except httpx.HTTPError as error:
            msg = f"{method} {self.base_url}{path}: no answer ({error}); is `tidewise up` running there?"
            raise ApiError(msg) from None
        return self._body(response, f"{method} {self.base_url}{path}")

    @staticmethod
    def _body(response: httpx.Response, call: str) -> Json:
        """The JSON of a successful response."""
        if not response.is_success:
            msg = f"{call}: answered {response.status_code}: {_reason(response)}"
            raise ApiError(msg)
        body: Json = response.json() if response.content else {}
        return body


def event_json(event: Interaction) -> Json:
    """An interaction as JSON of the API."""
    optional = {name: getattr(event, name) for name in OPTIONAL_FIELDS if getattr(event, name) is not None}
    return {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "type": event.type,
        "time": event.time_ms,
        **optional,
    }


def _author(author: str | None) -> dict[str, str]:
    return {} if author is None else {"author": author}


def _identified(event: Json) -> Json:
    """An event that counts once however often it is sent: by its id, else by its content with its time."""
    is_identified = event.get("event_id") is not None or event.get("time") is not None
    return event if is_identified else {**event, "event_id": secrets.token_hex(16)}


def _reason(response: httpx.Response) -> str:
    """The message of the error response, or its text."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return shorten(response.text, 300)


def _part(identifier: str) -> str:
    """An identifier as a path segment."""
    return quote(identifier, safe="")
