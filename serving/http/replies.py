"""Replies: JSON out, and every failure in one shape: {"error": {"code", "message", "field"?, "details"?}}.

The one place where the errors of `core` become HTTP.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from core.errors import InvalidInput, NotFound, NotReady, StoreUnavailable, StreamUnavailable, TidewiseError

_log = logging.getLogger(__name__)
_FIELD = re.compile(r"['\"]?([\w.]{1,64})['\"]?: ")  # messages of core begin with the field at fault
RETRY_AFTER_S = 1


class HTTPError(Exception):
    """A request that HTTP itself refuses: too large, unreadable, without a key."""

    def __init__(self, status: int, code: str, message: str, **rest: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(code, message, **rest)


def json_reply(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Content as JSON."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def error_body(code: str, message: str, *, field: str | None = None, details: Any = None) -> dict[str, Any]:
    """The one error shape."""
    rest = {"field": field, "details": details}
    return {"error": {"code": code, "message": message} | {name: it for name, it in rest.items() if it is not None}}


def field_of(message: str) -> str | None:
    """The field that a message of `core` begins with, if it does."""
    found = _FIELD.match(message)
    return found[1] if found else None


def reason_of(error: InvalidInput) -> dict[str, Any]:
    """Why one event or item of several was rejected."""
    reason: dict[str, Any] = error_body("invalid_input", str(error), field=field_of(str(error)))["error"]
    return reason


def internal_error(request: str, error: Exception) -> Response:
    """A fault of ours: logged whole, told without internals."""
    _log.error("%s failed", request, exc_info=error)
    message = "the server failed while answering; its log says why; send the request again, or report it"
    return json_reply(error_body("internal", message), status=500)


def add_error_replies(app: FastAPI) -> None:
    """Have every error answered in the one shape."""
    app.add_exception_handler(TidewiseError, _on_domain_error)
    app.add_exception_handler(HTTPError, _on_refused)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_http_error)


async def _on_domain_error(request: Request, error: Exception) -> Response:
    message = str(error)
    if isinstance(error, InvalidInput):
        return json_reply(error_body("invalid_input", message, field=field_of(message)), status=422)
    if isinstance(error, NotFound):
        return json_reply(error_body("not_found", message), status=404)
    if isinstance(error, NotReady | StoreUnavailable | StreamUnavailable):
        code = "not_ready" if isinstance(error, NotReady) else "unavailable"
        return json_reply(error_body(code, message), status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return internal_error(f"{request.method} {request.url.path}", error)


async def _on_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPError)
    headers = {"Connection": "close"} if error.status == 413 else None  # the rest of the body is not read
    return json_reply(error.body, status=error.status, headers=headers)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """What the router says: no such path, or not with this method."""
    status = error.status_code if isinstance(error, HTTPException) else 422
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == 404:
        body = error_body("no_such_path", f"there is no {request.url.path}; /openapi.json lists every path")
    elif status == 405:
        allowed = headers.get("Allow", "another method")
        body = error_body("wrong_method", f"{request.method} is not possible here; use {allowed}")
    else:
        body = error_body("bad_request", f"the request cannot be read: {error}")
    return json_reply(body, status=status, headers=headers)
