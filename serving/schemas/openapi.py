"""Helpers to document routes in OpenAPI, and the document itself. The texts of a route are in its schema module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from core.catalogue.items import MAX_ATTRIBUTES
from core.events.interactions import LARGEST_TIME_MS, SMALLEST_TIME_MS
from serving.schemas.base import MAX_ID_CHARS, MAYBE_EMPTY, NO_CONTROL_CHARACTERS, ErrorReply, Schema

Options = dict[str, Any]  # keyword arguments of `APIRouter.add_api_route`

ERRORS = (401, 403, 422, 429, 503)
ERRORS_404 = (401, 403, 404, 422, 429, 503)
_REF = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Live recommendations from a stream of interactions. Times are integer milliseconds since 1970 (UTC). Ids in paths "
    "are percent-encoded, slashes too. Every failure has the shape of `ErrorReply`."
)
_FAILURES = {
    400: "The body is not JSON.",
    401: "The API key is missing or wrong.",
    403: "The key lacks the scope; or no key is set, and the request comes from another machine or web site.",
    404: "Not found.",
    429: "The key has used up its requests per second: retry after the seconds of Retry-After.",
    413: "The body is too large, or has too many entries.",
    422: "The request is invalid; nothing was changed.",
    503: "Temporarily unavailable: retry after the seconds of Retry-After.",
}


ID_SCHEMA: Options = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_CHARS,
    "pattern": NO_CONTROL_CHARACTERS,
}

ATTRIBUTE_NAMES: Options = {"propertyNames": ID_SCHEMA, "maxProperties": MAX_ATTRIBUTES}
TIME_MS: Options = {"minimum": SMALLEST_TIME_MS, "maximum": LARGEST_TIME_MS}


def parameter(name: str, kind: str, description: str, **schema: Any) -> Options:
    """A query parameter."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind} | schema}


def path_parameter(name: str) -> Options:
    """An id in the path."""
    return {"name": name, "in": "path", "required": True, "description": "Percent-encoded.", "schema": ID_SCHEMA}


def id_parameter(name: str, description: str) -> Options:
    """An id or a name in the query string."""
    return {"name": name, "in": "query", "description": description, "schema": ID_SCHEMA}


def optional_id_parameter(name: str, description: str) -> Options:
    """An id, or the start of one, which may be empty."""
    return parameter(name, "string", description, maxLength=MAX_ID_CHARS, pattern=MAYBE_EMPTY)


def limit_parameter(description: str = "Page size.") -> Options:
    """The size of a page."""
    return parameter("limit", "integer", description, minimum=1, maximum=1000, default=100)


def document(
    answer: type[BaseModel],
    *,
    tag: str,
    parameters: Sequence[Options] = (),
    bodies: Sequence[type[BaseModel]] = (),
    examples: dict[str, Any] | None = None,
    errors: Sequence[int] = ERRORS,
    needs_key: bool = True,
) -> Options:
    """The options of `add_api_route` that document a route."""
    extra: Options = {"parameters": list(parameters)} if parameters else {}
    if bodies:
        schema = _one_of(bodies)
        named = {name: {"value": value} for name, value in (examples or {}).items()}
        extra["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": named}},
        }
        errors = sorted({400, 413, *errors})
    if not needs_key:
        extra["security"] = []
    failures = {status: reply(ErrorReply, description=_FAILURES[status]) for status in errors}
    responses = {200: reply(answer, description=(answer.__doc__ or "").strip())} | failures
    return {"responses": responses, "openapi_extra": extra, "tags": [tag]}


def reply(*schemas: type[BaseModel], description: str) -> Options:
    """The documentation of one status of a route, whose content has one of these schemas."""
    return {"description": description, "content": {"application/json": {"schema": _one_of(schemas)}}}


def _one_of(schemas: Sequence[type[BaseModel]]) -> Options:
    refs = [_ref(schema) for schema in schemas]
    return refs[0] if len(refs) == 1 else {"oneOf": refs}


def _ref(schema: type[BaseModel]) -> Options:
    """A reference, not FastAPI's `model`: that would build a validator for each reply of each route at each start."""
    return {"$ref": _REF.format(model=schema.__name__)}


def publish(app: FastAPI) -> None:
    """Have the app answer /openapi.json with its routes and all schemas."""

    def openapi() -> Options:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
            schemas = [(schema, "validation") for schema in Schema.__subclasses__()]
            _, definitions = models_json_schema(schemas, ref_template=_REF)  # type: ignore[arg-type]
            schemes = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            document["components"] = {"schemas": definitions["$defs"], "securitySchemes": schemes}
            document["security"] = [{"bearer": []}, {"header": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
