"""Intake: where the events of requests go, and what may be said of them.

    direct   this process applies them in a transaction of its own writer: the answer knows everything
    log      they are produced to the event log, which workers apply: the answer knows where they stand in it, or, for
             those who wait, what became of them

Knows nothing about HTTP or Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import StreamUnavailable
from core.interactions import Interaction
from core.ports import Store
from core.statuses import EventStatus
from serving.runtime.offset_waiter import Offsets, OffsetWaiter
from serving.runtime.query_executor import QueryExecutor
from serving.runtime.services import EventLog, Limits, LogPosition
from serving.runtime.writer import Writer

QUEUED = "queued"
SET_ASIDE = "set aside"
NUM_SENDERS = 8  # each waits for the log's acknowledgement; the log itself joins what they send at once


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What became of one event: a `core.ingestion.sources.EventStatus`, queued or set aside."""

    status: str
    user_seq: int = 0
    position: LogPosition | None = None


class EventSink(Protocol):
    """Takes events in."""

    async def take(self, events: Sequence[Interaction], *, wait: bool) -> list[EventOutcome]:
        """Take one request's events in; returns when they are safe, with `wait` when they are applied or time is up.

        Raises `StoreUnavailable` or `StreamUnavailable` where they may not be safe.
        """
        ...

    @property
    def num_waiting(self) -> int:
        """How many requests wait for workers."""
        ...

    async def stop(self) -> None:
        """Take nothing more."""
        ...


class DirectEventSink:
    """Applies events in this process."""

    num_waiting = 0

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def take(self, events: Sequence[Interaction], *, wait: bool) -> list[EventOutcome]:
        """Applied when this returns, whether it was waited for or not."""
        applied = await self._writer.apply(events)
        return [
            EventOutcome(status.value, seq) for status, seq in zip(applied.statuses, applied.user_seqs, strict=True)
        ]

    async def stop(self) -> None:
        """The writer is stopped by who started it."""


class LogEventSink:
    """Sends events to a log, and looks in the database for what workers made of them."""

    def __init__(self, log: EventLog, store: Store, limits: Limits) -> None:
        self._log = log
        self._store = store
        self._send_timeout_s = limits.send_timeout_s
        self._wait_timeout_s = limits.wait_timeout_s
        self._senders = QueryExecutor(num_threads=NUM_SENDERS, max_waiting=limits.max_waiting_reads, name="sender")
        self._readers = QueryExecutor(num_threads=1, max_waiting=limits.max_waiting_reads, name="fates")
        self._watch = OffsetWaiter(self._offsets)

    @property
    def num_waiting(self) -> int:
        """How many requests wait for workers."""
        return self._watch.num_waiting

    async def take(self, events: Sequence[Interaction], *, wait: bool) -> list[EventOutcome]:
        """Queued when this returns; applied if that was waited for and came in time."""
        known = await self._readers.run(lambda: self._known(events)) if wait else set()
        positions = await self._send(events)
        if not wait or not await self._watch.reached(_last_offsets(positions), timeout_s=self._wait_timeout_s):
            return [EventOutcome(QUEUED, position=position) for position in positions]
        return await self._readers.run(lambda: self._fates(events, positions, known))

    async def stop(self) -> None:
        """Send what was begun, then end."""
        await self._watch.stop()
        await self._senders.stop()
        await self._readers.stop()

    async def _send(self, events: Sequence[Interaction]) -> Sequence[LogPosition]:
        try:
            async with asyncio.timeout(self._send_timeout_s):
                return await self._senders.run(lambda: self._log.publish(events))
        except TimeoutError:
            within = f"within {self._send_timeout_s:g} s"
            within = f"within {self._send_timeout_s:g} s"
            msg = f"the event log did not confirm {len(events)} events {within}; send them again"
            raise StreamUnavailable(msg) from None

    def _offsets(self) -> Offsets:
        with self._store.glance() as read:
            return read.offsets.applied(self._log.name)

    def _known(self, events: Sequence[Interaction]) -> set[bytes]:
        """Those that are stored before they are sent: the only sure sign of a duplicate."""
        with self._store.glance() as read:
            return set(read.events.sequences([event.event_key for event in events]))

    def _fates(
        self, events: Sequence[Interaction], places: Sequence[LogPosition], known: set[bytes]
    ) -> list[EventOutcome]:
        with self._store.glance() as read:
            seqs = read.events.sequences([event.event_key for event in events])
            erased = read.users.erasure_times(
                sorted({event.user_id for event in events if event.event_key not in seqs})
            )
        fates, seen = [], set(known)
        for event, place in zip(events, places, strict=True):
            fates.append(EventOutcome(_status(event, seqs, erased, seen), seqs.get(event.event_key, 0), place))
            seen.add(event.event_key)
        return fates


def _status(event: Interaction, seqs: dict[bytes, int], erased: dict[str, int], seen: set[bytes]) -> str:
    if event.event_key in seqs:
        return (EventStatus.DUPLICATE if event.event_key in seen else EventStatus.ACCEPTED).value
    return EventStatus.ERASED.value if event.time_ms <= erased.get(event.user_id, -1) else SET_ASIDE


def _last_offsets(positions: Sequence[LogPosition]) -> Offsets:
    last: dict[int, int] = {}
    for position in positions:
        last[position.partition] = max(position.offset, last.get(position.partition, -1))
    return last
