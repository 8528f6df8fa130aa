"""Interactions over HTTP: parse events, pass them on, answer with the outcome of each; undo an event."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from core.clock import WallClock
from core.corrections.undo import undo_event
from core.errors import InvalidEvent, InvalidInput
from core.events.interactions import Interaction, parse_interaction, shorten
from core.ingestion.sources import EventOutcome
from core.records.statuses import EventStatus
from serving.http.audit import audited
from serving.http.replies import error_body, invalid_entries, json_reply, problem_of
from serving.http.requests import many_or_one, path_id, read_json
from serving.runtime.engine import Engine
from serving.schemas import interactions as schemas

LOOP_EVENTS = 100  # about half a millisecond of parsing; larger requests are parsed off the event loop
STATUSES = (
    EventStatus.ACCEPTED,
    EventStatus.QUEUED,
    EventStatus.DUPLICATE,
    EventStatus.ERASED,
    EventStatus.REJECTED,
)
NOT_APPLIED = (
    "not applied within the timeout, or the database could not be asked: the events are durable in the log, and workers"
    " will apply them"
)
NO_ID = "neither event_id nor time was given: the same event sent again counts again"
_DEAD_LETTERED = error_body("dead_lettered", "no worker could apply it; `tidewise dead-letters list` says why")["error"]


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """The entries of a request, each an event or the problem with it. `unnamed`: positions with a generated id."""

    entries: list[Interaction | dict[str, object]]
    unnamed: frozenset[int]

    @property
    def events(self) -> list[Interaction]:
        """The valid entries."""
        return [entry for entry in self.entries if isinstance(entry, Interaction)]

    @property
    def problems(self) -> list[dict[str, object]]:
        """The problems with the other entries."""
        return [entry for entry in self.entries if isinstance(entry, dict)]


class InteractionRoutes:
    """Parses small requests on the event loop; the event sink does the rest."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        event = "/v1/interactions/{event_id:path}"
        router.add_api_route("/v1/interactions", self.post, methods=["POST"], **schemas.POST_INTERACTIONS)
        router.add_api_route(event, self.delete, methods=["DELETE"], **schemas.DELETE_INTERACTION)

    async def delete(self, request: Request) -> Response:
        """Undo an event; an event that was undone before stays undone."""
        event_id = path_id(request, "event_id")
        services = self._services
        state = await self._engine.writer.run(
            lambda: undo_event(audited(services, request, "undo event"), event_id, services.ingestor.derivation)
        )
        if state is not None:
            services.encode([state])
        return json_reply({"event_id": event_id, "status": "undone"})

    async def post(self, request: Request) -> Response:
        """Apply or publish one event or many; answers when they are durable, with the outcome of each."""
        wait = _wait_of(request)
        body = await read_json(request, max_bytes=self._engine.limits.max_body_bytes)
        raw, single = many_or_one(body, "events", limit=self._engine.limits.max_events)
        is_clock_quick = isinstance(self._services.clock, WallClock) or self._services.store.is_embedded
        on_loop = len(raw) <= LOOP_EVENTS and is_clock_quick
        parsed = self._parse(raw) if on_loop else await self._engine.executor.run(lambda: self._parse(raw))
        if not parsed.events:
            self._engine.metrics.count_events({EventStatus.REJECTED.value: len(parsed.entries)})
            raise invalid_entries("events", parsed.problems, single=single)
        outcomes = await self._engine.event_sink.submit(parsed.events, wait=wait)
        results = _results(parsed, outcomes)
        statuses = Counter(result["status"] for result in results)
        counts = {status.value: statuses[status.value] for status in STATUSES}
        self._engine.metrics.count_events(counts)
        if not counts[EventStatus.QUEUED.value]:
            return json_reply(counts | {"results": results})
        note = {"note": NOT_APPLIED} if wait else {}
        return json_reply(counts | {"results": results} | note, status=202)

    def _parse(self, raw: list[object]) -> ParsedEvents:
        wall_ms = self._services.wall.now_ms()
        now_ms = wall_ms if all(map(_has_time, raw)) else self._services.clock.now_ms()
        entries: list[Interaction | dict[str, object]] = []
        unnamed = set()
        for index, entry in enumerate(raw):
            has_time = _has_time(entry)
            named = has_time or (isinstance(entry, dict) and entry.get("event_id") is not None)
            try:
                entries.append(self._event(entry, wall_ms if has_time else now_ms, named=named))
            except InvalidEvent as error:
                entries.append(problem_of(error))
                continue
            if not named:
                unnamed.add(index)
        return ParsedEvents(entries, frozenset(unnamed))

    def _event(self, raw: object, now_ms: int, *, named: bool) -> Interaction:
        return parse_interaction(
            raw,
            types=self._services.types,
            now_ms=now_ms,
            max_future_ms=self._services.limits.max_future_ms,
            new_id="" if named else str(uuid.uuid4()),
            default_type=self._services.default_type,
        )


def _has_time(raw: object) -> bool:
    """Whether an entry has an event time; one without gets the current time of the clock of recommendations."""
    return isinstance(raw, dict) and raw.get("time") is not None


def _wait_of(request: Request) -> bool:
    """Whether to answer only when the events are applied, so that the next recommendation includes them."""
    value = request.query_params.get("wait")
    if value not in (None, "applied"):
        msg = f"wait: wanted applied, got {shorten(value)}; leave it out not to wait"
        raise InvalidInput(msg, field="wait")
    return value is not None


def _results(parsed: ParsedEvents, outcomes: list[EventOutcome]) -> list[dict[str, object]]:
    """The result of each entry, in the order sent."""
    remaining = iter(outcomes)
    results: list[dict[str, object]] = []
    for index, entry in enumerate(parsed.entries):
        if isinstance(entry, Interaction):
            result = _result(entry, next(remaining))
            if index in parsed.unnamed:
                result["warning"] = NO_ID
        else:
            result = {"status": EventStatus.REJECTED.value, "error": entry}
        results.append(result)
    return results


def _result(event: Interaction, outcome: EventOutcome) -> dict[str, object]:
    """The result of one valid event."""
    dead_lettered = outcome.status is EventStatus.DEAD_LETTERED
    status = EventStatus.REJECTED if dead_lettered else outcome.status
    result: dict[str, object] = {"status": status.value, "event_id": event.event_id}
    if outcome.user_seq:
        result["user_seq"] = outcome.user_seq
    if (position := outcome.position) is not None:
        result["position"] = {"topic": position.topic, "partition": position.partition, "offset": position.offset}
    return result | ({"error": _DEAD_LETTERED} if dead_lettered else {})
