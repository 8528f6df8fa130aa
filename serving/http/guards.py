"""ASGI middleware in front of the routes: raw paths, access by key or host, unexpected errors."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.replies import error_body, internal_error, json_reply
from serving.http.security import Keys, foreign_origin, required_scope

OPEN_PATHS = frozenset({"/", "/health", "/ready", "/openapi.json"})
OPEN_FOLDER = "/pages/"  # the dashboard's files, which hold no data


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
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


class KeyGuard:
    """Requires a key with the scope of the request, except on open paths."""

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or pass on."""
        if scope["type"] != "http" or _is_open(scope["path"]):
            return await self._app(scope, receive, send)
        granted, required = self._keys.granted(scope["headers"]), required_scope(scope["method"], scope["path"])
        if granted is not None and granted >= required:
            return await self._app(scope, receive, send)
        if granted is not None:
            message = f"this key is for {granted.name.lower()} only; this request needs the {required.name.lower()} key"
            return await json_reply(error_body("forbidden", message), status=403)(scope, receive, send)
        message = "an API key is needed; send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
        headers = {"WWW-Authenticate": "Bearer"}
        await json_reply(error_body("unauthorized", message), status=401, headers=headers)(scope, receive, send)


class LocalGuard:
    """For an API without a key: rejects web pages of other sites that use it through a browser on this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass on."""
        foreign = foreign_origin(scope["headers"]) if scope["type"] == "http" else None
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
