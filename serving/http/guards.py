"""What stands in front of the routes, as plain ASGI: the path as it was sent, who may ask, the last line of defence."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.replies import error_body, internal_error, json_reply
from serving.http.security import Keys, comes_from_elsewhere, needed

OPEN_PATHS = frozenset({"/", "/health", "/ready", "/openapi.json"})
OPEN_FOLDER = "/pages/"  # the dashboard's files, which hold no data


class RawPath:
    """Routes on the path as it was sent, so that an encoded slash (%2F) in an id is no separator."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replace the decoded path."""
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("ascii", errors="replace")
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


class KeyGuard:
    """Lets nothing but the open paths through without a key that is for it."""

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or pass on."""
        if scope["type"] != "http" or _is_open(scope["path"]):
            return await self._app(scope, receive, send)
        granted, wanted = self._keys.granted(scope["headers"]), needed(scope["method"], scope["path"])
        if granted is not None and granted >= wanted:
            return await self._app(scope, receive, send)
        if granted is not None:
            message = f"this key is for {granted.name.lower()} only, and this needs the {wanted.name.lower()} key"
            return await json_reply(error_body("forbidden", message), status=403)(scope, receive, send)
        message = "an API key is needed; send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
        headers = {"WWW-Authenticate": "Bearer"}
        await json_reply(error_body("unauthorized", message), status=401, headers=headers)(scope, receive, send)


class LocalGuard:
    """For an API without a key: keeps web pages of other sites from using it through a browser on this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass on."""
        found = comes_from_elsewhere(scope["headers"]) if scope["type"] == "http" else None
        if found is None:
            return await self._app(scope, receive, send)
        message = f"without an API key only this machine may ask, not {found}; set server.api_key"
        await json_reply(error_body("forbidden", message), status=403)(scope, receive, send)


class LastResort:
    """Answers 500 for what nobody expected; if an answer has begun, the connection is cut by the error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and catch."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return  # nobody is left to be answered
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await internal_error(f"{scope['method']} {scope['path']}", error)(scope, receive, send)
