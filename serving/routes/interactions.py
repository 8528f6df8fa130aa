"""Interactions over HTTP: parse events, pass them on, answer with the outcome of each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from core.clock import WallClock
from core.errors import InvalidEvent, InvalidInput
from core.interactions import Interaction, parse_interaction, shorten
from serving.http.replies import error_body, invalid_entries, json_reply, problem_of
from serving.http.requests import check_fields, many_or_one, read_json
from serving.runtime.engine import Engine
from serving.runtime.event_sinks import QUEUED, SET_ASIDE, EventOutcome
from serving.schemas import interactions as schemas

LOOP_EVENTS = 100  # about half a millisecond of parsing; larger batches are parsed off the event loop
STATUSES = ("accepted", "queued", "duplicate", "erased", "rejected")
LATE = "not applied in time: the events are safe in the log, and workers apply them as soon as they can"
_SET_ASIDE = error_body("set_aside", "no worker could apply it; `tidewise dead-letters list` says why")["error"]
WARNING = "neither event_id nor time was given: the same event sent again counts again"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The entries of a request: each an event or the reason why it is none."""

    entries: list[Interaction | dict[str, Any]]
    unnamed: frozenset[int]  # places of events that the server had to name

    @property
    def events(self) -> list[Interaction]:
        """The valid entries."""
        return [entry for entry in self.entries if isinstance(entry, Interaction)]

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What is wrong with each of the others."""
        return [entry for entry in self.entries if isinstance(entry, dict)]


class InteractionRoutes:
    """Taking events in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    def register(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/v1/interactions", self.post, methods=["POST"], **schemas.POST_INTERACTIONS)

    async def post(self, request: Request) -> Response:
        """Take one event or many in; answers when they are safe, each event for itself."""
        wait = _wants_to_wait(request)
        body = await read_json(request, max_bytes=self._engine.limits.max_body_bytes)
        raw, single = many_or_one(body, "events", limit=self._engine.limits.max_events)
        quick = len(raw) <= LOOP_EVENTS and isinstance(self._services.clock, WallClock)
        parsed = self._parse(raw) if quick else await self._engine.readers.run(lambda: self._parse(raw))
        if not parsed.events:
            self._engine.metrics.took_in({"rejected": len(parsed.entries)})
            raise invalid_entries("events", parsed.problems, single=single)
        fates = await self._engine.intake.take(parsed.events, wait=wait)
        report = _report(parsed, fates)
        self._engine.metrics.took_in({status: report[status] for status in STATUSES})
        if report[QUEUED]:
            return json_reply(report | ({"note": LATE} if wait else {}), status=202)
        return json_reply(report)

    def _parse(self, raw: list[Any]) -> Parsed:
        wall_ms = self._services.wall.now_ms()
        now_ms = self._services.clock.now_ms() if not all(map(_is_timed, raw)) else wall_ms
        entries: list[Interaction | dict[str, Any]] = []
        unnamed = set()
        for place, one in enumerate(raw):
            timed = _is_timed(one)
            named = timed or (isinstance(one, dict) and one.get("event_id") is not None)
            try:
                entries.append(self._event(one, wall_ms if timed else now_ms, named=named))
            except InvalidEvent as error:
                entries.append(problem_of(error))
                continue
            if not named:
                unnamed.add(place)
        return Parsed(entries, frozenset(unnamed))

    def _event(self, raw: Any, now_ms: int, *, named: bool) -> Interaction:
        return parse_interaction(
            raw,
            types=self._services.types,
            now_ms=now_ms,
            max_future_ms=self._services.limits.max_future_ms,
            new_id="" if named else str(uuid.uuid4()),
            default_type=self._services.default_type,
        )


def _is_timed(raw: Any) -> bool:
    """Whether an entry says when it happened; else it happened now, by the clock that answers use."""
    return isinstance(raw, dict) and raw.get("time") is not None


def _wants_to_wait(request: Request) -> bool:
    """Whether the answer is to come when the next recommendation knows the events."""
    check_fields(request.query_params, ("wait",))
    value = request.query_params.get("wait")
    if value not in (None, "applied"):
        msg = f"wait: wanted applied, got {shorten(value)}; leave it out not to wait"
        raise InvalidInput(msg, field="wait")
    return value is not None


def _report(parsed: Parsed, fates: list[EventOutcome]) -> dict[str, Any]:
    """What became of each entry, in the order given, and the sums."""
    left = iter(fates)
    sums = dict.fromkeys(STATUSES, 0)
    results = []
    for place, entry in enumerate(parsed.entries):
        if isinstance(entry, Interaction):
            result = _result(entry, next(left))
            if place in parsed.unnamed:
                result["warning"] = WARNING
        else:
            result = {"status": "rejected", "error": entry}
        sums[result["status"]] += 1
        results.append(result)
    return sums | {"results": results}


def _result(event: Interaction, fate: EventOutcome) -> dict[str, Any]:
    """What became of one valid event."""
    set_aside = fate.status == SET_ASIDE
    result: dict[str, Any] = {"status": "rejected" if set_aside else fate.status, "event_id": event.event_id}
    if fate.user_seq:
        result["user_seq"] = fate.user_seq
    if (at := fate.position) is not None:
        result["position"] = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
    return result | ({"error": _SET_ASIDE} if set_aside else {})
