"""The sink for deployments with an event log: events are published to it, and workers apply them.

Requests with `wait=applied` wait for the workers' commit and read the outcomes from the database. Independent of HTTP
and Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from core.errors import Overloaded, StoreError, StreamUnavailable
from core.events.interactions import Interaction
from core.ingestion.sources import EventOutcome, LogPosition
from core.ports.store import Store
from core.records.statuses import EventStatus
from serving.runtime.offset_waiter import Offsets, OffsetWaiter
from serving.runtime.query_executor import QueryExecutor
from serving.runtime.services import EventLog, Limits

NUM_SENDERS = 8  # each waits for the log's acknowledgement; the log batches concurrent sends


class LogEventSink:
    """Publishes events to a log and reads their outcomes from the database."""

    def __init__(self, log: EventLog, store: Store, limits: Limits) -> None:
        self._log = log
        self._store = store
        self._send_timeout_s = limits.send_timeout_s
        self._wait_timeout_s = limits.wait_timeout_s
        self._senders = QueryExecutor(num_threads=NUM_SENDERS, max_waiting=limits.max_waiting_reads, name="sender")
        self._readers = QueryExecutor(
            num_threads=1, max_waiting=limits.max_waiting_reads, max_wait_s=limits.max_wait_s, name="outcomes"
        )
        self._waiter = OffsetWaiter(self._applied_offsets)

    @property
    def num_waiting(self) -> int:
        """How many requests wait for workers."""
        return self._waiter.num_waiting

    async def submit(self, events: Sequence[Interaction], *, wait: bool) -> list[EventOutcome]:
        """Publish one request's events; `wait`: until workers have applied them, or the timeout.

        Raises `StreamUnavailable` where they may not be durable.
        """
        known = await self._readers.run(lambda: self._known(events)) if wait else set()
        positions = await self._publish(events)
        if wait and await self._waiter.reached(_last_offsets(positions), timeout_s=self._wait_timeout_s):
            with suppress(StoreError, Overloaded):  # an error would tell the client to send them again
                return await self._readers.run(lambda: self._outcomes(events, positions, known))
        return [EventOutcome(EventStatus.QUEUED, position=position) for position in positions]

    async def stop(self) -> None:
        """Finish publishing, then end."""
        await self._waiter.stop()
        await self._senders.stop()
        await self._readers.stop()

    async def _publish(self, events: Sequence[Interaction]) -> Sequence[LogPosition]:
        try:
            async with asyncio.timeout(self._send_timeout_s):
                return await self._senders.run(lambda: self._log.publish(events))
        except TimeoutError:
            within = f"within {self._send_timeout_s:g} s"
            msg = f"the event log did not confirm {len(events)} events {within}; send them again"
            raise StreamUnavailable(msg) from None

    def _applied_offsets(self) -> Offsets:
        with self._store.read(snapshot=False) as read:
            return read.offsets.applied(self._log.name)

    def _known(self, events: Sequence[Interaction]) -> set[bytes]:
        """The keys of events that are stored before these are published: the only reliable sign of a duplicate."""
        with self._store.read(snapshot=False) as read:
            return read.events.known([event.event_key for event in events])

    def _outcomes(
        self, events: Sequence[Interaction], positions: Sequence[LogPosition], known: set[bytes]
    ) -> list[EventOutcome]:
        with self._store.read(snapshot=False) as read:
            keys = [event.event_key for event in events]
            seqs, applied = read.events.sequences(keys), read.events.known(keys)
            erased = read.users.erasure_times(
                sorted({event.user_id for event in events if event.event_key not in applied})
            )
        outcomes, seen = [], set(known)
        for event, position in zip(events, positions, strict=True):
            outcomes.append(EventOutcome(_status(event, applied, erased, seen), seqs.get(event.event_key, 0), position))
            seen.add(event.event_key)
        return outcomes


def _status(event: Interaction, applied: set[bytes], erased: dict[str, int], seen: set[bytes]) -> EventStatus:
    if event.event_key in applied:
        return EventStatus.DUPLICATE if event.event_key in seen else EventStatus.ACCEPTED
    return EventStatus.ERASED if event.time_ms <= erased.get(event.user_id, -1) else EventStatus.DEAD_LETTERED


def _last_offsets(positions: Sequence[LogPosition]) -> Offsets:
    last: dict[int, int] = {}
    for position in positions:
        last[position.partition] = max(position.offset, last.get(position.partition, -1))
    return last
