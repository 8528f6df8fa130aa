"""GET /v1/ingestion: who writes, how far each has got, and how far that is behind the event log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from core.errors import StreamUnavailable
from core.ports import WriterPosition
from serving.http.replies import json_reply
from serving.runtime.engine import Engine


class IngestionRoutes:
    """The state of ingestion."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    async def state(self, _request: Request) -> Response:
        """Every writer; with an event log, each of its partitions and their lag."""
        return json_reply(await self._engine.readers.run(self._state))

    def _state(self) -> dict[str, Any]:
        log = self._services.log
        with self._services.store.read() as read:
            writers, num_letters = read.writers(), read.num_dead_letters()
            applied = {} if log is None else read.applied_offsets(log.name)
        ends, problem = self._log_ends(applied) if log else ({}, None)
        known = {(one.stream, one.partition) for one in writers}
        if log is not None:  # partitions of which nothing was applied yet
            writers += [WriterPosition(log.name, part, None, None) for part in ends if (log.name, part) not in known]
        shown = [_writer(one, ends if log and one.stream == log.name else {}) for one in writers]
        return {
            "now": self._services.wall.now_ms(),
            "log": None if log is None else log.name,
            "lag": sum(one["lag"] or 0 for one in shown) if ends else None,
            "problem": problem,
            "writers": shown,
            "waiting_events": self._engine.writer.num_waiting,
            "waiting_requests": self._engine.intake.num_waiting,
            "dead_letters": num_letters,
        }

    def _log_ends(self, applied: Mapping[int, int]) -> tuple[Mapping[int, tuple[int, int]], str | None]:
        """For each partition (next offset, end of the log); or why that cannot be said now."""
        try:
            return self._services.log_ends(applied), None
        except StreamUnavailable as error:
            return {}, str(error)


def _writer(position: WriterPosition, ends: Mapping[int, tuple[int, int]]) -> dict[str, Any]:
    next_offset, log_end = ends.get(position.partition, (None, None))
    lag = None if log_end is None or next_offset is None else max(0, log_end - next_offset)
    return {
        "name": position.stream,
        "partition": position.partition,
        "applied_offset": position.applied_offset,
        "newest_event": position.newest_ms,
        "log_end": log_end,
        "lag": lag,
    }
