"""The engine behind the routes: event sink, writer, query executor, metrics and activity, with one life cycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from core.definitions.followed import FollowedDefinitions
from core.errors import Overloaded, StoreUnavailable, UnknownDefinition
from core.events.interactions import Interaction
from core.ingestion.sources import EventOutcome
from core.recommendation.trends import Trends
from core.records.stored import DefinitionRevision, UserState
from serving.runtime.activity import ActivitySampler
from serving.runtime.lag_recorder import LagRecorder
from serving.runtime.log_event_sink import LogEventSink
from serving.runtime.metrics import Metrics
from serving.runtime.query_executor import QueryExecutor
from serving.runtime.services import Services
from serving.runtime.writer import Writer

T = TypeVar("T")
MANY_WAITING = 4  # lists of items; more wait only where a process has more to do than it can


class EventSink(Protocol):
    """Where the events of requests go: the `Writer` of this process, or the event log (`LogEventSink`)."""

    async def submit(self, events: Sequence[Interaction], *, wait: bool) -> list[EventOutcome]:
        """Submit one request's events; returns when they are durable, with `wait` when they are applied.

        Raises `StoreUnavailable`, `StreamUnavailable` or `Overloaded` where they may not be durable.
        """
        ...


class Engine:
    """What routes call: events go to `event_sink`, other changes to `writer`, lists of items to `ranking`, all other
    queries to `executor`.
    """

    def __init__(self, services: Services) -> None:
        limits = services.limits
        self.services = services
        self.limits = limits
        new_executor = partial(QueryExecutor, max_waiting=limits.max_waiting_reads, max_wait_s=limits.max_wait_s)
        self.executor = new_executor(num_threads=limits.num_readers)
        # Several threads that rank leave the event loop so little of the interpreter lock (GIL) that it neither answers
        # nor refuses in time, and answer no faster; those of a database server wait for it most of the time.
        num_rankers = 1 if services.store.is_embedded else limits.num_readers
        self.ranking = new_executor(num_threads=num_rankers, name="ranking")
        self.writer = Writer(
            services.ingestor,
            name=services.writer_name,
            encode=self._encode_ahead,
            max_group_events=limits.max_group_events,
            max_waiting_events=limits.max_waiting_events,
            max_wait_s=limits.max_wait_s,
        )
        log = services.log
        self._log_sink = None if log is None else LogEventSink(log, services.store, limits)
        self.event_sink: EventSink = self._log_sink or self.writer
        self.metrics = Metrics(
            services,
            num_waiting_events=lambda: self.writer.num_waiting,
            num_waiting_requests=lambda: self.num_waiting_requests,
        )
        self.trends = Trends()
        self.activity = ActivitySampler(
            services.store,
            num_waiting=lambda: self.writer.num_waiting,
            now_ms=services.wall.now_ms,
            period_s=limits.activity_period_s,
            after_sample=self._after_sample,
        )
        self._lags = LagRecorder(services)
        self._sampler = QueryExecutor(num_threads=1, max_waiting=1, name="sampler")

    @property
    def num_waiting_requests(self) -> int:
        """How many requests wait for workers; none without an event log."""
        return 0 if self._log_sink is None else self._log_sink.num_waiting

    async def change_definition(
        self, definitions: FollowedDefinitions[Any], change: Callable[[], DefinitionRevision]
    ) -> DefinitionRevision:
        """Store a change of a definition, which takes effect in this process at once; returns its revision."""

        def apply() -> DefinitionRevision:
            revision = change()
            definitions.follow()
            return revision

        return await self.writer.run(apply)

    async def follow(self, *definitions: FollowedDefinitions[Any]) -> None:
        """Read what other processes have stored; without the database, what was read before stays valid."""
        with suppress(StoreUnavailable, Overloaded):
            for kind in definitions:
                await self.executor.run(kind.follow)

    async def with_newest_definitions(self, read: Callable[[], T]) -> T:
        """Call `read`, once more if it names a scenario or segment that another process may just have stored."""
        try:
            return read()
        except UnknownDefinition:
            await self.follow(self.services.scenarios, self.services.segments)
            return read()

    def _encode_ahead(self, states: Iterable[UserState]) -> None:
        """Encode users before they ask, unless many ask already: these are encoded first, and others when they ask."""
        if self.ranking.num_waiting <= MANY_WAITING:
            self.services.encode(states)

    def _after_sample(self) -> None:
        self._lags.record()
        self.trends.note(self.services.snapshots.current(), self.services.wall.now_ms())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the threads; at the end, requests that were accepted are finished first."""
        self.writer.start()
        self.services.answers.start()
        sampling = asyncio.create_task(self.activity.run(self._sampler))
        try:
            yield
        finally:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
            await self._sampler.stop()
            if self._log_sink is not None:
                await self._log_sink.stop()
            await self.writer.stop()
            await self.executor.stop()
            await self.ranking.stop()
            await asyncio.to_thread(self.services.answers.stop)
