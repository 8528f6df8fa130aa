"""The engine behind the routes: the services, the writer, the intake and the readers, started and drained together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from core.recommendation.trends import Trends
from serving.http.metrics import Metrics, Waiting
from serving.runtime.activity import ActivitySampler
from serving.runtime.event_sinks import DirectEventSink, EventSink, LogEventSink
from serving.runtime.query_executor import QueryExecutor
from serving.runtime.services import Services
from serving.runtime.writer import Writer


class Engine:
    """What a route needs to answer: events go through `intake`, other writes through `writer`, queries `readers`."""

    def __init__(self, services: Services) -> None:
        limits = services.limits
        self.services = services
        self.limits = limits
        self.readers = QueryExecutor(num_threads=limits.num_readers, max_waiting=limits.max_waiting_reads)
        self.writer = Writer(
            services.ingestor,
            name=services.writer_name,
            follow=services.follow,
            max_group_events=limits.max_group_events,
            max_waiting_events=limits.max_waiting_events,
        )
        direct, log = DirectEventSink(self.writer), services.log
        self.metrics = Metrics(services, _Waiting(self))
        self.trends = Trends()
        self.pulse = ActivitySampler(
            services.store,
            num_waiting=lambda: self.writer.num_waiting,
            now_ms=services.wall.now_ms,
            period_s=limits.pulse_s,
            also=self._note_trends,
        )
        self.intake: EventSink = direct if log is None else LogEventSink(log, services.store, limits)

    def _note_trends(self) -> None:
        self.trends.note(self.services.snapshots.current(), self.services.wall.now_ms())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write and read until the end; what was taken in is finished first."""
        self.writer.start()
        pulse = asyncio.create_task(self.pulse.run(self.readers))
        try:
            yield
        finally:
            pulse.cancel()
            with suppress(asyncio.CancelledError):
                await pulse
            await self.intake.stop()
            await self.writer.stop()
            await self.readers.stop()


class _Waiting(Waiting):
    """What waits in this engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def events(self) -> int:
        """Events (and other changes) that wait for the writer."""
        return self._engine.writer.num_waiting

    def requests(self) -> int:
        """Requests that wait for workers."""
        return self._engine.intake.num_waiting
