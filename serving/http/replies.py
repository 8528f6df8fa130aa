"""Replies: JSON, and every failure in one shape: {"error": {"code", "message", "field"?, "details"?}}.

The errors of `core` become HTTP statuses here, and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from core.errors import InvalidInput, NotFound, NotReady, Overloaded, StoreUnavailable, StreamUnavailable, TidewiseError

_log = logging.getLogger(__name__)
RETRY_AFTER_S = 1
UNAVAILABLE_CODES = {
    NotReady: "not_ready",
    Overloaded: "overloaded",
    StoreUnavailable: "unavailable",
    StreamUnavailable: "unavailable",
}


class HTTPError(Exception):
    """A request that is answered with this status: too large, not JSON, no valid entry."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        details: Sequence[object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(code, message, field=field, details=details)


# Answers hold personal data, which proxies must not keep, and are JSON, which browsers must not show as a page.
ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_RAW_ALWAYS = [(name.lower().encode(), value.encode()) for name, value in ALWAYS.items()]
_RAW_TYPE = (b"content-type", b"application/json")


class JsonReply(Response):
    """JSON with the headers that every answer has, which are encoded once."""

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [*_RAW_ALWAYS, (b"content-length", b"%d" % len(body)), _RAW_TYPE]


def json_reply(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Content as JSON."""
    return encoded_reply(orjson.dumps(content), status=status, headers=headers)


def encoded_reply(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is encoded already."""
    if status == 200 and headers is None:
        return JsonReply(body)
    return Response(body, status, {**ALWAYS, **headers} if headers else ALWAYS, "application/json")


def error_body(
    code: str, message: str, *, field: str | None = None, details: Sequence[object] | None = None
) -> dict[str, Any]:
    """The error shape: `serving.schemas.base.ErrorReply`."""
    optional = {"field": field, "details": details}
    return {"error": {"code": code, "message": message} | {k: v for k, v in optional.items() if v is not None}}


def problem_of(error: InvalidInput | NotFound) -> dict[str, Any]:
    """The problem with one entry of several."""
    code, field = ("invalid_input", error.field) if isinstance(error, InvalidInput) else ("not_found", None)
    problem: dict[str, Any] = error_body(code, str(error), field=field)["error"]
    return problem


def invalid_entries(name: str, problems: Sequence[dict[str, Any]], *, single: bool) -> HTTPError:
    """The error for a request without a valid entry of `name`, such as events; `single`: it was one bare object."""
    if single:
        return HTTPError(422, "invalid_input", problems[0]["message"], field=problems[0].get("field"))
    message = (
        f"none of the {len(problems)} {name} is valid; details says why, {name[:-1]} by {name[:-1]}, in the order sent"
    )
    return HTTPError(422, "invalid_input", message, field=name, details=problems)


def internal_error(request: str, error: Exception) -> Response:
    """An unexpected error: logged with its traceback, answered without internals."""
    _log.error("%s failed", request, exc_info=error)
    message = "the server failed while answering; its log says why; send the request again, or report it"
    return json_reply(error_body("internal", message), status=500)


async def _on_domain_error(request: Request, error: Exception) -> Response:
    message = str(error)
    if isinstance(error, InvalidInput):
        return json_reply(error_body("invalid_input", message, field=error.field), status=422)
    if isinstance(error, NotFound):
        return json_reply(error_body("not_found", message), status=404)
    for kind, code in UNAVAILABLE_CODES.items():
        if isinstance(error, kind):
            return json_reply(error_body(code, message), status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return internal_error(f"{request.method} {request.url.path}", error)


async def _on_request_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPError)
    headers = {"Connection": "close"} if error.status == 413 else None  # the rest of the body is not read
    return json_reply(error.body, status=error.status, headers=headers)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Errors of the router: no such path, or not with this method."""
    status = error.status_code if isinstance(error, HTTPException) else 422
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == 404:
        body = error_body("no_such_path", f"there is no {request.url.path}; /openapi.json lists every path")
    elif status == 405:
        headers["Allow"] = ", ".join(_allowed_methods(request))
        body = error_body("wrong_method", f"{request.method} is not possible here; use {headers['Allow']}")
    else:
        body = error_body("bad_request", f"the request cannot be read: {error}")
    return json_reply(body, status=status, headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """The methods of all routes of a path; the router itself names those of the first route only."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})


Handler = Callable[[Request, Exception], Awaitable[Response]]
HANDLERS: Mapping[type[Exception], Handler] = {
    TidewiseError: _on_domain_error,
    HTTPError: _on_request_error,
    HTTPException: _on_http_error,
    RequestValidationError: _on_http_error,
}


def add_error_replies(app: FastAPI) -> None:
    """Answer every error in the error shape."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def error_reply(request: Request, error: Exception) -> Response:
    """The answer to an error of an endpoint; raises it again where it is unexpected."""
    for kind, handler in HANDLERS.items():
        if isinstance(error, kind):
            return await handler(request, error)
    raise error
