"""POST /v1/interactions: take events in, and say of each one what became of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from core.clock import WallClock
from core.errors import InvalidEvent
from core.interactions import Interaction, parse_interaction
from serving.engine import Engine
from serving.replies import Refused, json_reply, reason_of
from serving.requests import many_or_one, read_json
from serving.writer import Applied

LOOP_EVENTS = 100  # about half a millisecond of parsing; larger batches are parsed off the event loop
WARNING = "neither event_id nor time was given: the same event sent again counts again"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The entries of a request: each an event or the reason why it is none."""

    entries: list[Interaction | dict[str, Any]]
    unnamed: frozenset[int]  # places of events that the server had to name

    @property
    def events(self) -> list[Interaction]:
        """The valid ones."""
        return [entry for entry in self.entries if isinstance(entry, Interaction)]


class InteractionRoutes:
    """Taking events in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    async def post(self, request: Request) -> Response:
        """Store one event or many; answers after the commit, each event for itself."""
        body = await read_json(request, max_bytes=self._engine.limits.max_body_bytes)
        raw, single = many_or_one(body, "events", limit=self._engine.limits.max_events)
        quick = len(raw) <= LOOP_EVENTS and isinstance(self._services.clock, WallClock)
        parsed = self._parse(raw) if quick else await self._engine.readers.run(lambda: self._parse(raw))
        if not parsed.events:
            raise _none_valid(parsed.entries, single=single)
        applied = await self._engine.writer.apply(parsed.events)
        return json_reply(_report(parsed, applied))

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
                entries.append(reason_of(error))
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


def _none_valid(entries: list[Any], *, single: bool) -> Refused:
    if single:
        return Refused(422, "invalid_input", entries[0]["message"], field=entries[0].get("field"))
    message = f"none of the {len(entries)} events is valid; details says why, event by event, in the order given"
    return Refused(422, "invalid_input", message, field="events", details=entries)


def _report(parsed: Parsed, applied: Applied) -> dict[str, Any]:
    """What became of each entry, in the order given, and the sums."""
    fates = iter(zip(applied.statuses, applied.user_seqs, strict=True))
    sums = {"accepted": 0, "duplicate": 0, "erased": 0, "rejected": 0}
    results = []
    for place, entry in enumerate(parsed.entries):
        if isinstance(entry, Interaction):
            status, user_seq = next(fates)
            result: dict[str, Any] = {"status": status.value, "event_id": entry.event_id}
            if user_seq:
                result["user_seq"] = user_seq
            if place in parsed.unnamed:
                result["warning"] = WARNING
        else:
            result = {"status": "rejected", "error": entry}
        sums[result["status"]] += 1
        results.append(result)
    return sums | {"results": results}
