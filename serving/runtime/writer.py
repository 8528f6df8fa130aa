"""The writer: one thread that applies every change of this process, with group commit.

Requests that arrive during a commit are queued and applied together in the next transaction, so that concurrent clients
share the cost of a commit (one sync of the disk); no commit is delayed to collect more. A request is answered after
its commit. Independent of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.background import BackgroundThread
from core.errors import Overloaded, StoreUnavailable
from core.events.interactions import Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import EventOutcome, IngestResult, RequestSource
from core.records.stored import UserState

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    """One request: events to apply, or another change. `cost`: its events, which the limits of the writer count."""

    future: asyncio.Future[Any]
    events: Sequence[Interaction]
    work: Callable[[], Any] | None = None
    since_s: float = field(default_factory=time.monotonic)

    @property
    def cost(self) -> int:
        return max(1, len(self.events))


class Writer:
    """Applies jobs in the order of arrival. `encode` gets the users changed by a commit."""

    def __init__(
        self,
        ingestor: Ingestor,
        *,
        name: str,
        encode: Callable[[Iterable[UserState]], None],
        max_group_events: int,
        max_waiting_events: int,
        max_wait_s: float,
    ) -> None:
        self._ingestor = ingestor
        self._source = RequestSource(name)
        self._encode = encode
        self._max_group_events = max_group_events
        self._max_waiting_events = max_waiting_events
        self._max_wait_s = max_wait_s
        self._was_full = False  # the last group: more events waited than fit into it
        self._jobs: deque[_Job] = deque()
        self._num_waiting = 0
        self._thread = BackgroundThread("writer", self._apply_next, ready=lambda: bool(self._jobs), drain=True)

    @property
    def num_waiting(self) -> int:
        """How many events and other changes are queued."""
        return self._num_waiting

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    async def stop(self) -> None:
        """Accept no more jobs, apply those in the queue, end the thread."""
        self._thread.request_stop()
        await asyncio.to_thread(self._thread.stop)

    async def submit(self, events: Sequence[Interaction], *, wait: bool = True) -> list[EventOutcome]:
        """Apply one request's events; returns after the commit, also without `wait`.

        Raises `StoreUnavailable` if the database is unavailable, `Overloaded` if the queue is full.
        """
        outcomes: list[EventOutcome] = await self._enqueue(_Job(asyncio.get_running_loop().create_future(), events))
        return outcomes

    async def run(self, work: Callable[[], T]) -> T:
        """Run another change (items, erasure) on the writer thread, after everything queued before it."""
        result: T = await self._enqueue(_Job(asyncio.get_running_loop().create_future(), (), work))
        return result

    async def _enqueue(self, job: _Job) -> Any:
        with self._thread.condition:
            if not self._thread.is_running:
                msg = "the server is shutting down; send the request again to the next one"
                raise StoreUnavailable(msg)
            if self._jobs and self._num_waiting + job.cost > self._max_waiting_events:
                msg = f"{self._num_waiting} events are waiting to be written already; send the request again later"
                raise Overloaded(msg)
            self._num_waiting += job.cost
            self._jobs.append(job)
            self._thread.condition.notify()
        return await job.future

    def _apply_next(self) -> None:
        self._refuse_overdue()
        group = self._next_group()
        if not group:
            return
        work = group[0].work
        results = self._apply_group(group) if work is None else [_result_of(work)]
        loop = group[0].future.get_loop()
        loop.call_soon_threadsafe(_resolve, [job.future for job in group], results)

    def _next_group(self) -> list[_Job]:
        """The next jobs to apply together: as many requests with events as fit, or one other change alone."""
        with self._thread.condition:
            group: list[_Job] = []
            cost = 0
            while self._jobs and (not group or self._fits(self._jobs[0], group, cost)):
                group.append(self._jobs.popleft())
                cost += group[-1].cost
            self._num_waiting -= cost
            self._was_full = bool(self._jobs) and self._jobs[0].work is None and group[0].work is None
            return group

    def _refuse_overdue(self) -> None:
        """While more events arrive than fit into each group, refuse those that have waited for too long.

        One long transaction, such as an import, refuses nobody.
        """
        if not self._was_full:
            return
        overdue: list[_Job] = []
        with self._thread.condition:
            since_s = time.monotonic() - self._max_wait_s
            while self._jobs and self._jobs[0].since_s < since_s:
                overdue.append(self._jobs.popleft())
            self._num_waiting -= sum(job.cost for job in overdue)
        if overdue:
            msg = f"this request has waited for more than {self._max_wait_s:g} s; send it again later"
            errors = [Overloaded(msg) for _ in overdue]
            overdue[0].future.get_loop().call_soon_threadsafe(_resolve, [job.future for job in overdue], errors)

    def _fits(self, job: _Job, group: list[_Job], cost: int) -> bool:
        return job.work is None and group[0].work is None and cost + job.cost <= self._max_group_events

    def _apply_group(self, group: list[_Job]) -> list[Any]:
        """The result of each job: applied together, or separately where that fails because of some data."""
        together = _result_of(lambda: self._ingest([event for job in group for event in job.events]))
        if isinstance(together, IngestResult):
            return _split(together, group)
        if isinstance(together, StoreUnavailable) or len(group) == 1:
            return [together] * len(group)
        _log.warning("%d requests could not be applied together, trying one by one: %s", len(group), together)
        return [self._apply_alone(job) for job in group]

    def _apply_alone(self, job: _Job) -> Any:
        result = _result_of(lambda: self._ingest(job.events))
        return _split(result, [job])[0] if isinstance(result, IngestResult) else result

    def _ingest(self, events: Sequence[Interaction]) -> IngestResult:
        result = self._ingestor.ingest(events, self._source)
        try:
            self._encode(result.states.values())
        except Exception:  # the events are committed: the request must not fail
            _log.exception("the users changed by a commit could not be passed on; they are encoded when read")
        return result


def _result_of(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises: an error is the client's answer and does not end the thread."""
    try:
        return work()
    except Exception as error:
        return error


def _split(result: IngestResult, group: list[_Job]) -> list[list[EventOutcome]]:
    """The outcomes of each request of a group."""
    outcomes = []
    start = 0
    for job in group:
        end = start + len(job.events)
        outcomes.append(result.outcomes(start, end))
        start = end
    return outcomes


def _resolve(futures: Sequence[asyncio.Future[Any]], results: Sequence[Any]) -> None:
    """On the event loop: resolve all requests at once; the future of a disconnected client is cancelled already."""
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
