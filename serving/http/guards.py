"""ASGI middleware in front of the routes: raw paths, access by key or host, unexpected errors."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.audit import ACTOR
from serving.http.keys import Access, KeyRing
from serving.http.replies import error_body, internal_error, json_reply
from serving.http.scenario_access import SCENARIOS, is_recommendation
from serving.http.security import foreign_origin, required_scope

OPEN_PATHS = frozenset({"/", "/docs", "/health", "/ready", "/openapi.json"})
OPEN_FOLDERS = ("/pages/", "/sign-in/")  # the dashboard's files, which hold no data; the way to a session

SIGN_IN_HEADER, SIGN_IN = "X-Tidewise-Sign-In", "sign-in/start"  # a relative URL, in case a proxy adds a path prefix


class RawPath:
    """Routes on the raw path, so that an encoded slash (%2F) in an id is no separator."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replace the decoded path by the raw one."""
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("ascii", errors="replace")
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


class KeyGuard:
    """Requires a key with the scope of the request, below its rate limit, except on open paths."""

    def __init__(self, app: ASGIApp, *, keys: KeyRing, has_sign_in: bool = False) -> None:
        """`has_sign_in`: tell the dashboard where people sign in."""
        self._app = app
        self._keys = keys
        self._challenge = {"WWW-Authenticate": "Bearer"} | ({SIGN_IN_HEADER: SIGN_IN} if has_sign_in else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 403 or 429, or pass on."""
        if scope["type"] != "http" or _is_open(scope["path"]):
            return await self._app(scope, receive, send)
        access = self._keys.granted(scope["headers"])
        refusal = _refusal(access, scope["method"], scope["path"], self._challenge)
        if access:
            scope.setdefault("state", {}).update({ACTOR: access.name, SCENARIOS: access.scenarios})
        await (refusal or self._app)(scope, receive, send)


def _refusal(access: Access | None, method: str, path: str, challenge: Mapping[str, str]) -> Response | None:
    """The answer to a request that its key does not permit, else None. `challenge`: headers of a 401."""
    if access is None:
        message = "an API key is needed; send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
        return json_reply(error_body("unauthorized", message), status=401, headers=challenge)
    required = required_scope(method, path)
    if access.scope < required:
        message = f"this key has the scope {access.scope.name.lower()}; this request needs {required.name.lower()}"
        return json_reply(error_body("forbidden", message), status=403)
    if access.scenarios and not is_recommendation(method, path):
        message = f"this key may only ask for recommendations by {', '.join(access.scenarios)}"
        return json_reply(error_body("forbidden", message), status=403)
    wait_s = access.bucket.take() if access.bucket else 0.0
    if wait_s > 0:
        message = f"the key {access.name!r} has used up its requests per second; send this one again later"
        return json_reply(
            error_body("too_many_requests", message), status=429, headers={"Retry-After": f"{ceil(wait_s)}"}
        )
    return None


class LocalGuard:
    """For an API without a key: rejects web pages of other sites that use it through a browser on this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        foreign = foreign_origin(scope["headers"], is_open=_is_open(scope["path"]))
        if foreign is None:
            return await self._app(scope, receive, send)
        message = f"without an API key only this machine has access, not {foreign}; set server.api_key"
        await json_reply(error_body("forbidden", message), status=403)(scope, receive, send)


class UnexpectedErrors:
    """Answers 500 for an unexpected exception; if an answer has started, the error closes the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and catch."""
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except ClientDisconnect:
            return  # no client is left to answer
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await internal_error(f"{scope['method']} {scope['path']}", error)(scope, receive, send)
