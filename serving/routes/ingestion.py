"""The progress of ingestion over HTTP: every writer, its applied offset, and its lag behind the event log."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from core.errors import StreamUnavailable
from core.records.stored import WriterPosition
from serving.http.replies import json_reply
from serving.runtime.engine import Engine
from serving.schemas import ingestion as schemas


class IngestionRoutes:
    """Reads writers from the database, log end offsets from the event log."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    def register(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/v1/ingestion", self.progress, methods=["GET"], **schemas.GET_INGESTION)

    async def progress(self, _request: Request) -> Response:
        """Every writer; with an event log, each of its partitions with its lag."""
        return json_reply(await self._engine.executor.run(self._progress))

    def _progress(self) -> dict[str, object]:
        log = self._services.log
        with self._services.store.read() as read:
            writers, num_dead_letters = read.offsets.positions(), read.dead_letters.count()
            applied = {} if log is None else read.offsets.applied(log.name)
        ends, problem = self._log_ends(applied) if log else ({}, None)
        known = {(writer.stream, writer.partition) for writer in writers}
        if log is not None:  # partitions without an applied offset yet
            writers += [WriterPosition(log.name, part, None, None) for part in ends if (log.name, part) not in known]
        shown = [_writer(writer, ends if log and writer.stream == log.name else {}) for writer in writers]
        return {
            "now": self._services.wall.now_ms(),
            "topic": None if log is None else log.name,
            "lag": sum(max(0, end - next_offset) for next_offset, end in ends.values()) if ends else None,
            "problem": problem,
            "writers": shown,
            "waiting_events": self._engine.writer.num_waiting,
            "waiting_requests": self._engine.num_waiting_requests,
            "dead_letters": num_dead_letters,
        }

    def _log_ends(self, applied: Mapping[int, int]) -> tuple[Mapping[int, tuple[int, int]], str | None]:
        """For each partition (next offset, log end offset); or the problem that hides them."""
        try:
            return self._services.log_end_offsets(applied), None
        except StreamUnavailable as error:
            return {}, str(error)


def _writer(position: WriterPosition, ends: Mapping[int, tuple[int, int]]) -> dict[str, object]:
    next_offset, log_end_offset = ends.get(position.partition, (None, None))
    lag = None if log_end_offset is None or next_offset is None else max(0, log_end_offset - next_offset)
    return {
        "name": position.stream,
        "partition": position.partition,
        "applied_offset": position.applied_offset,
        "newest_event": position.newest_ms,
        "log_end_offset": log_end_offset,
        "lag": lag,
    }
