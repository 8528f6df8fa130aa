"""What OpenAPI says of each route: parameters, bodies with examples, answers. Knows nothing about how they are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.schemas import api as schemas
from serving.schemas import browsing as looking
from serving.schemas import drift as drift_schemas

Options = dict[str, Any]
_REF = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Live recommendations from a stream of interactions. Times are integer milliseconds since 1970 (UTC). Ids in paths "
    "are percent-encoded, slashes too. Every failure has the shape of `ErrorReply`."
)


def _parameter(name: str, kind: str, description: str, **schema: Any) -> Options:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind} | schema}


def _id(name: str) -> Options:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": "Percent-encoded.", "schema": schema}


_WISH = (
    _parameter("n", "integer", "How many items.", minimum=1, default=10),
    _parameter("category", "string", "Only items of this category."),
    _parameter(
        "where",
        "array",
        "Only items with such an attribute, as brand:acme or price:10..30 (either end may be left out): repeated; of "
        "several with one name any may hold.",
        items={"type": "string"},
    ),
    _parameter("exclude", "array", "Item ids to leave out: repeated, or a list with commas.", items={"type": "string"}),
    _parameter("seen", "string", "Whether items that the user has had may come again.", enum=["exclude", "include"]),
    _parameter("explain", "string", "Tell of each item which events it leans on.", enum=["full"]),
    _parameter("at", "integer", "Answer as of this moment (ms); moves now, never what is known."),
)


def _route(
    answer: type[BaseModel],
    *,
    parameters: Sequence[Options] = (),
    bodies: Sequence[type[BaseModel]] = (),
    examples: dict[str, Any] | None = None,
    errors: Sequence[int] = (401, 403, 422, 503),
    tag: str,
) -> Options:
    """The options of `add_api_route` that document a route."""
    extra: Options = {"parameters": list(parameters)} if parameters else {}
    if bodies:
        refs = [_ref(body) for body in bodies]
        schema = refs[0] if len(refs) == 1 else {"oneOf": refs}
        named = {name: {"value": value} for name, value in (examples or {}).items()}
        extra["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": named}},
        }
        errors = sorted({400, 413, *errors})
    failed = {status: _reply(schemas.ErrorReply, _FAILURES[status]) for status in errors}
    responses = {200: _reply(answer, (answer.__doc__ or "").strip())} | failed
    return {"responses": responses, "openapi_extra": extra, "tags": [tag]}


def _reply(shape: type[BaseModel], description: str) -> Options:
    return {"description": description, "content": {"application/json": {"schema": _ref(shape)}}}


def _ref(shape: type[BaseModel]) -> Options:
    """A reference, not FastAPI's `model`: that would build a validator for each reply of each route at each start."""
    return {"$ref": _REF.format(model=shape.__name__)}


_FAILURES = {
    400: "The body is not JSON.",
    401: "The API key is missing or wrong.",
    403: "The key is not for this; or, without keys, only this machine may ask, and no web page of another site.",
    404: "There is no such thing.",
    413: "The body is too large, or has too many entries.",
    422: "What was sent cannot be used; nothing was changed.",
    503: "Not now: send it again after the seconds of Retry-After.",
}

_EVENT = {"user_id": "u1", "item_id": "tent", "type": "click", "time": 1_700_000_000_000, "event_id": "web-1"}
_ITEM = {"item_id": "lamp", "title": "Camping lamp", "categories": ["camping"], "attributes": {"price": 29.5}}

_WAIT = "With an event log: answer when the next recommendation knows the events. Without one it always does."
POST_INTERACTIONS = _route(
    schemas.EventsOut,
    parameters=(_parameter("wait", "string", _WAIT, enum=["applied"]),),
    bodies=(schemas.EventIn, schemas.EventsIn),
    examples={"one": _EVENT, "many": {"events": [_EVENT, {"user_id": "u1", "item_id": "stove"}]}},
    tag="events",
)
POST_INTERACTIONS["responses"][202] = _reply(schemas.EventsOut, "The events are safe in the log, not yet applied.")
GET_RECOMMENDATIONS = _route(schemas.AnswerOut, parameters=(_id("user_id"), *_WISH), tag="answers")
POST_RECOMMENDATIONS = _route(
    schemas.AnswerOut,
    bodies=(schemas.SessionIn,),
    examples={"a session": {"events": [{"item_id": "tent", "time": 1_700_000_000_000}, {"item_id": "stove"}], "n": 5}},
    tag="answers",
)
POST_RANK = _route(
    schemas.AnswerOut,
    parameters=(_id("user_id"),),
    bodies=(schemas.RankIn,),
    examples={"three items": {"item_ids": ["stove", "tent", "mug"]}},
    tag="answers",
)
GET_SIMILAR = _route(
    schemas.AnswerOut, parameters=(_id("item_id"), *_WISH), errors=(401, 403, 404, 422, 503), tag="answers"
)
GET_TRENDING = _route(schemas.AnswerOut, parameters=_WISH, tag="answers")
GET_LATEST = _route(schemas.AnswerOut, parameters=_WISH, tag="answers")
GET_POPULAR = _route(schemas.AnswerOut, parameters=_WISH, tag="answers")
GET_ITEMS = _route(
    schemas.ItemPage,
    parameters=(
        _parameter("after", "string", "Start behind this id."),
        _parameter("limit", "integer", "How many items.", minimum=1, maximum=1000, default=100),
    ),
    tag="items",
)
POST_ITEMS = _route(
    schemas.ItemsOut,
    bodies=(schemas.ItemIn, schemas.ItemsIn),
    examples={"one": _ITEM, "many": {"items": [_ITEM, {"item_id": "mug", "title": "Steel mug"}]}},
    tag="items",
)
GET_ITEM = _route(schemas.ItemOut, parameters=(_id("item_id"),), errors=(401, 403, 404, 422, 503), tag="items")
PUT_ITEM = _route(
    schemas.ItemSaved,
    parameters=(_id("item_id"),),
    bodies=(schemas.ItemIn,),
    examples={"an item": {"title": "Camping lamp", "categories": ["camping"]}},
    tag="items",
)
DELETE_ITEM = _route(schemas.ItemRemoved, parameters=(_id("item_id"),), errors=(401, 403, 404, 422, 503), tag="items")
DELETE_USER = _route(schemas.UserErased, parameters=(_id("user_id"),), errors=(401, 403, 404, 422, 503), tag="users")
GET_INTERESTS = _route(
    drift_schemas.InterestOut, parameters=(_id("user_id"),), errors=(401, 403, 404, 422, 503), tag="users"
)
GET_MODELS = _route(schemas.ModelsOut, errors=(401, 403, 503), tag="models")
GET_MODEL = _route(schemas.ModelOut, parameters=(_id("version"),), errors=(401, 403, 404, 503), tag="models")
POST_PROMOTE = _route(
    schemas.PromotionOut,
    parameters=(_id("version"),),
    bodies=(schemas.PromoteIn,),
    examples={"with a reason": {"reason": "better on last week"}},
    errors=(401, 403, 404, 422, 503),
    tag="models",
)
POST_ROLLBACK = _route(
    schemas.PromotionOut,
    bodies=(schemas.RollbackIn,),
    examples={"with a reason": {"reason": "complaints"}},
    errors=(401, 403, 404, 422, 503),
    tag="models",
)
_DAYS = _parameter("days", "integer", "How many days before the newest event.", minimum=1, maximum=3650, default=30)
GET_DRIFT_CATEGORIES = _route(drift_schemas.CategoryMix, parameters=(_DAYS,), tag="operations")
GET_DRIFT = _route(
    drift_schemas.DriftOut,
    parameters=(
        _parameter("limit", "integer", "How many alarms.", minimum=1, maximum=1000, default=100),
        _parameter("days", "integer", "How many days of signals.", minimum=1, maximum=3650, default=30),
    ),
    tag="operations",
)
_PAGE = _parameter("limit", "integer", "How many.", minimum=1, maximum=1000, default=100)
GET_USERS = _route(
    looking.UserPage,
    parameters=(
        _parameter("prefix", "string", "Only ids that begin so."),
        _parameter("after", "string", "Start behind this id."),
        _PAGE,
    ),
    tag="users",
)
GET_USER_EVENTS = _route(
    looking.UserEvents,
    parameters=(_id("user_id"), _parameter("before", "string", "next_before of the page before."), _PAGE),
    errors=(401, 403, 404, 422, 503),
    tag="users",
)
GET_SEARCH = _route(
    looking.FoundItems,
    parameters=(
        _parameter("query", "string", "Words that all occur in the item's id, title or text."),
        _parameter("category", "string", "Only items of this category."),
        _parameter("hidden", "string", "Hidden items alone.", enum=["only"]),
        _parameter("n", "integer", "How many items.", minimum=1, maximum=200, default=20),
    ),
    tag="items",
)
GET_CATEGORIES = _route(looking.CategoriesOut, errors=(401, 403, 503), tag="items")
GET_DEAD_LETTERS = _route(looking.LettersOut, parameters=(_PAGE,), tag="operations")
_LETTER_KEYS = {"some": {"keys": [7, 8]}, "all of them": {"all": True}}
POST_RETRY = _route(looking.LettersRetried, bodies=(looking.LetterKeys,), examples=_LETTER_KEYS, tag="operations")
POST_DISCARD = _route(looking.LettersDiscarded, bodies=(looking.LetterKeys,), examples=_LETTER_KEYS, tag="operations")
GET_INGESTION = _route(looking.IngestionOut, errors=(401, 403, 503), tag="operations")
GET_ACTIVITY = _route(looking.ActivityOut, errors=(401, 403), tag="operations")
GET_STATUS = _route(schemas.StatusOut, errors=(401, 403, 503), tag="operations")
GET_HEALTH = _route(schemas.Health, errors=(403,), tag="operations")
GET_READY = _route(schemas.Readiness, errors=(403,), tag="operations")
GET_READY["responses"][503] = _reply(schemas.Readiness, "Not ready; the checks say why.")


def describe(app: FastAPI) -> None:
    """Have the app answer /openapi.json with all of this: FastAPI's own, and the shapes, which it never parses."""

    def openapi() -> Options:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
            shapes = [(shape, "validation") for shape in schemas.Shape.__subclasses__()]
            _, definitions = models_json_schema(shapes, ref_template=_REF)  # type: ignore[arg-type]
            schemes = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            made["components"] = {"schemas": definitions["$defs"], "securitySchemes": schemes}
            made["security"] = [{"bearer": []}, {"header": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
