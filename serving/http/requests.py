"""Requests: read and validate bodies, paths and query strings.

Plain functions instead of a pydantic model per request: they cost microseconds on the hot path.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import unquote

import orjson
from fastapi import Request
from starlette.datastructures import QueryParams

from core.catalogue.filters import filter_in, filter_of
from core.errors import InvalidInput
from core.events.interactions import MAX_ID_BYTES, check_id, check_time_ms, field_name, shorten
from core.experiments.current import Assignment
from core.recommendation.cursors import decode_cursor
from core.recommendation.requests import DEFAULT_N, RecommendationRequest, RestOfList, check_n
from core.scenarios.scenario import NO_SCENARIO, Scenario
from core.times import second_text
from serving.http.replies import HTTPError
from serving.http.scenario_access import check_permitted
from serving.runtime.services import Services

Word = TypeVar("Word", bound=str)

RECOMMENDATION_FIELDS = ("n", "category", "where", "exclude", "at", "seen", "explain", "scenario", "record")
NEXT_PAGE_FIELDS = ("next", "n", "record")
LARGE_BYTES = 2**20
DOT_SEGMENTS = {".;": ".", "..;": ".."}  # HTTP clients remove both from a path, percent-encoded or not


async def read_json(request: Request, *, max_bytes: int) -> object:
    """The body as JSON. Its size is checked by its header and again while it is received."""
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        message = f"the body is compressed (Content-Encoding: {shorten(encoding)}); send it uncompressed"
        raise HTTPError(400, "malformed_json", message)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    try:
        return _parsed(body)
    except orjson.JSONDecodeError as error:
        message = f"the body is not valid JSON: {error}; send UTF-8 JSON (without NaN or Infinity)"
        raise HTTPError(400, "malformed_json", message) from None


def _parsed(body: bytearray) -> object:
    """The JSON of a body, parsed without garbage collection, which over millions of new objects is most of the time.

    16 MiB of empty lists took 2.5 s of CPU with it and 0.5 s without. No other thread runs meanwhile: orjson holds the
    interpreter's lock.
    """
    if len(body) < LARGE_BYTES or not gc.isenabled():
        return orjson.loads(body)
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        gc.enable()


async def read_object(
    request: Request, fields: Sequence[str], *, max_bytes: int, optional: bool = False
) -> dict[str, object]:
    """The body as a JSON object with no other fields than these; `optional`: a missing body is an empty object."""
    if optional and request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return {}
    body = await read_json(request, max_bytes=max_bytes)
    if not isinstance(body, dict):
        msg = f"body: wanted a JSON object with {', '.join(fields)}, got {shorten(body)}"
        raise InvalidInput(msg, field="body")
    check_fields(body, fields)
    return body


def _too_large(max_bytes: int) -> HTTPError:
    message = f"the body is larger than {max_bytes} bytes; split it into several requests"
    return HTTPError(413, "too_large", message)


def many_or_one(body: object, name: str, *, limit: int) -> tuple[list[object], bool]:
    """The entries of {"events": [...]} (or "items"), or of one bare object; and whether it was a bare one."""
    if not isinstance(body, dict):
        msg = f'body: wanted a JSON object, got {shorten(body)}; send one object, or {{"{name}": [...]}}'
        raise InvalidInput(msg, field="body")
    if name not in body:
        return [body], True
    check_fields(body, (name,))
    entries = body[name]
    if not isinstance(entries, list) or not entries:
        msg = f"{name}: wanted a list with at least one object, got {shorten(entries)}"
        raise InvalidInput(msg, field=name)
    if len(entries) > limit:
        message = f"{len(entries)} {name} are too many for one request; send at most {limit} at a time"
        raise HTTPError(413, "too_large", message, field=name)
    return entries, False


def check_fields(values: Mapping[str, object], known: Sequence[str]) -> None:
    """Raise `InvalidInput` for an unknown name: probably a typing error."""
    for name in values:
        if name not in known:
            msg = f"{shorten(name)}: unknown field; known fields are {', '.join(known)}"
            raise InvalidInput(msg, field=field_name(name))


def check_query(query: QueryParams, known: Sequence[str], *, repeatable: Sequence[str] = ()) -> None:
    """Raise `InvalidInput` for an unknown parameter, or for one that is given twice and may not be."""
    check_fields(query, known)
    for name in query:
        if name not in repeatable and len(values := query.getlist(name)) > 1:
            msg = f"{name}: wanted one value, got {shorten(values)}; send it once"
            raise InvalidInput(msg, field=name)


def path_id(request: Request, name: str) -> str:
    """An id from the path, which is routed percent-encoded; "." and ".." are sent as DOT_SEGMENTS."""
    sent = request.path_params[name]
    try:
        return check_id(name, DOT_SEGMENTS.get(sent) or unquote(sent, errors="strict"))
    except UnicodeDecodeError:
        msg = f"{name}: wanted percent-encoded UTF-8 in the path, got {shorten(sent)}"
        raise InvalidInput(msg, field=name) from None


def read_recommendation_query(
    request: Request, services: Services, *, user_id: str | None = None
) -> RecommendationRequest:
    """The recommendation request of a query string; `user_id`: whom an experiment may assign to an arm."""
    query = request.query_params
    check_permitted(request, query)
    values: dict[str, object] = {name: query[name] for name in query if name not in ("where", "exclude")}
    for name in ("n", "at"):
        if name in query:
            values[name] = _integer(name, query[name])
    values["exclude"] = _split(query.getlist("exclude"))
    where = filter_in(query.getlist("where"))
    services.segments.check(where)
    return replace(
        parse_recommendation_request(values, services, user_id=user_id),
        where=where,
        pages_of=request.url.path if _flag("pages", query.get("pages"), default=False) else "",
    )


def read_next_page(request: Request, services: Services) -> tuple[RestOfList, RecommendationRequest]:
    """The rest of the list that `next` in a query string continues, and the request for its next page."""
    query = request.query_params
    check_query(query, NEXT_PAGE_FIELDS)
    now_ms = services.clock.now_ms()
    rest = decode_cursor(query["next"], services.cursor_key, subject=request.url.path, now_ms=now_ms)
    n = _n(_integer("n", query.get("n", str(DEFAULT_N))), services.limits.max_n)
    record = _flag("record", query.get("record"), default=True)
    return rest, RecommendationRequest(n=n, record=record, pages_of=rest.subject)


def parse_recommendation_request(
    values: Mapping[str, object],
    services: Services,
    scenario: Scenario | None = None,
    *,
    user_id: str | None = None,
) -> RecommendationRequest:
    """The recommendation request of a body, or of a query string whose numbers are parsed.

    `scenario`: one without a name, for a preview. By default the values may name one; for a user, an experiment on that
    scenario, or on requests without one, then decides by its arm.
    """
    category, at = values.get("category"), values.get("at")
    assigned = Assignment()
    if scenario is None:
        scenario, assigned = _scenario(values.get("scenario"), services, user_id)
    where = filter_of(values.get("where"))
    services.segments.check(where)
    return RecommendationRequest(
        n=_n(values.get("n", (scenario or NO_SCENARIO).n or DEFAULT_N), services.limits.max_n),
        category=None if category is None else check_id("category", category),
        where=where,
        exclude=check_ids("exclude", values.get("exclude", []), limit=services.limits.max_ids),
        exclude_seen=_exclude_seen(values.get("seen"), services, scenario),
        at_ms=None if at is None else check_time_ms("at", at),
        explain=_explain(values.get("explain")),
        record=_flag("record", values.get("record"), default=True),
        scenario=scenario,
        arm=assigned.arm,
        model=assigned.model,
    )


def check_ids(name: str, value: object, *, limit: int) -> list[str]:
    """A list of ids."""
    if not isinstance(value, list) or len(value) > limit:
        got = f"{len(value)} of them" if isinstance(value, list) else shorten(value)
        msg = f"{name}: wanted a list of at most {limit} ids, got {got}"
        raise InvalidInput(msg, field=name)
    return [check_id(name, item_id) for item_id in value]


def integer_query(request: Request, name: str, *, default: int, highest: int, lowest: int = 1) -> int:
    """A whole number from `lowest` to `highest` in the query string."""
    text = request.query_params.get(name)
    return _in_range(name, default if text is None else _integer(name, text), highest, lowest)


def choice_query(request: Request, name: str, choices: Sequence[Word]) -> Word:
    """One of some words in the query string; the first is the default."""
    return one_of(name, request.query_params.get(name, choices[0]), choices)


def one_of(name: str, text: str, choices: Sequence[Word]) -> Word:
    """The text as one of some words; raises `InvalidInput`."""
    for word in choices:
        if word == text:
            return word
    msg = f"{name}: wanted one of {', '.join(choices)}, got {shorten(text)}"
    raise InvalidInput(msg, field=name)


def time_query(request: Request, name: str, *, default: int) -> int:
    """A time in the query string, in milliseconds or as ISO 8601."""
    text = request.query_params.get(name)
    return default if text is None else time_of(name, text)


def time_of(name: str, text: str) -> int:
    """A time in milliseconds, sent as such or as ISO 8601; raises `InvalidInput`."""
    return check_time_ms(name, _integer(name, text) if text.isascii() and text.isdecimal() else text)


def check_order(since_ms: int, until_ms: int, sent: Mapping[str, str], *, prefix: str = "") -> None:
    """Raise `InvalidInput` for a period that ends before it begins, with both times as sent; those by default as dates.

    `sent`: the texts by name, which are `since` and `until` after the prefix.
    """
    if since_ms < until_ms:
        return
    since, until = (
        shorten(sent[f"{prefix}{name}"]) if f"{prefix}{name}" in sent else f"{second_text(time_ms)} UTC"
        for name, time_ms in (("since", since_ms), ("until", until_ms))
    )
    msg = f"{prefix}since: wanted a time before the end of the period, {until}, got {since}"
    raise InvalidInput(msg, field=f"{prefix}since")


def _integer(name: str, text: str) -> int:
    try:
        return int(text) if text.isascii() and len(text) < 20 else int("")
    except ValueError:
        msg = f"{name}: wanted a whole number, got {shorten(text)}"
        raise InvalidInput(msg, field=name) from None


def _n(value: object, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"n: wanted a whole number from 1 to {highest}, got {shorten(value)}"
        raise InvalidInput(msg, field="n")
    return check_n(value, highest)


def _in_range(name: str, value: int, highest: int, lowest: int = 1) -> int:
    if not lowest <= value <= highest:
        msg = f"{name}: wanted {lowest} to {highest}, got {shorten(value)}"
        raise InvalidInput(msg, field=name)
    return value


def _scenario(given: object, services: Services, user_id: str | None) -> tuple[Scenario | None, Assignment]:
    """The scenario to answer by, and the user's assignment to an arm."""
    assigned = Assignment("" if given is None else check_id("scenario", given))
    if assigned.scenario:
        services.scenarios.get(assigned.scenario)  # an unknown one is refused, whatever the arm
    if user_id is not None:
        assigned = services.experiments.assign(
            assigned.scenario,
            user_id,
            now_ms=services.clock.now_ms(),
            is_known=services.scenarios.all().__contains__,
            is_loaded=lambda version: services.snapshots.current().of(version) is not None,
        )
    return services.scenarios.get(assigned.scenario) if assigned.scenario else None, assigned


def _exclude_seen(value: object, services: Services, scenario: Scenario | None) -> bool:
    if value is None:
        own = (scenario or NO_SCENARIO).exclude_seen
        return services.exclude_seen if own is None else own
    if value not in ("exclude", "include"):
        msg = f"seen: wanted exclude or include, got {shorten(value)}"
        raise InvalidInput(msg, field="seen")
    return bool(value == "exclude")


def _explain(value: object) -> bool:
    if value not in (None, "full"):
        msg = f"explain: wanted full (or nothing), got {shorten(value)}"
        raise InvalidInput(msg, field="explain")
    return bool(value == "full")


def _flag(name: str, value: object, *, default: bool) -> bool:
    if value not in (None, True, False, "true", "false"):
        msg = f"{name}: wanted true or false, got {shorten(value)}"
        raise InvalidInput(msg, field=name)
    return default if value is None else value in (True, "true")


def _split(values: list[str]) -> list[str]:
    """`exclude=a,b&exclude=c` names a, b and c, and also an item whose id is "a,b": excluding an unknown id is free."""
    item_ids: dict[str, None] = {}
    for value in values:
        item_ids.update(dict.fromkeys(value.split(",")))
        if len(value) <= MAX_ID_BYTES // 4:  # fits into an id, however it is encoded
            item_ids[value] = None
    return [item_id for item_id in item_ids if item_id]
