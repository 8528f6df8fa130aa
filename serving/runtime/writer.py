"""The writer: one thread through which every change goes, so that requests that arrive together share one commit.

While one transaction commits, the requests that arrive meanwhile wait in a queue; the next transaction takes them
together, so that the cost of a commit (one sync of the disk) is shared by however many clients there are and a lone
client waits for nobody. Nobody is answered before the commit. Knows nothing about HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.background import BackgroundThread
from core.errors import StoreUnavailable
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import IngestResult, RequestSource
from core.interactions import Interaction
from core.ports import UserState
from core.statuses import EventStatus

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one request's events: one status and one user sequence each, in the order given."""

    statuses: Sequence[EventStatus]
    user_seqs: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Job:
    """One request: events to apply, or work of another kind."""

    future: asyncio.Future[Any]
    events: Sequence[Interaction]
    work: Callable[[], Any] | None = None

    @property
    def cost(self) -> int:
        return max(1, len(self.events))


class Writer:
    """Applies jobs in the order of their arrival. `follow` gets the users whom a commit changed."""

    def __init__(
        self,
        ingestor: Ingestor,
        *,
        name: str,
        follow: Callable[[Iterable[UserState]], None],
        max_group_events: int,
        max_waiting_events: int,
    ) -> None:
        self._ingestor = ingestor
        self._source = RequestSource(name)
        self._follow = follow
        self._max_group_events = max_group_events
        self._max_waiting_events = max_waiting_events
        self._jobs: deque[_Job] = deque()
        self._num_waiting = 0
        self._thread = BackgroundThread("writer", self._apply_next, ready=lambda: bool(self._jobs), drain=True)

    @property
    def num_waiting(self) -> int:
        """How many events (and other changes) wait to be written."""
        return self._num_waiting

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    async def stop(self) -> None:
        """Take nothing more, finish what waits, end."""
        self._thread.request_stop()
        await asyncio.to_thread(self._thread.stop)

    async def apply(self, events: Sequence[Interaction]) -> Applied:
        """Apply one request's events; returns after the commit.

        Raises `StoreUnavailable` where the database is away or too much is waiting already.
        """
        applied: Applied = await self._submit(_Job(asyncio.get_running_loop().create_future(), events))
        return applied

    async def run(self, work: Callable[[], T]) -> T:
        """Run another change (items, erasure) on the writer thread, after everything that came before it."""
        result: T = await self._submit(_Job(asyncio.get_running_loop().create_future(), (), work))
        return result

    async def _submit(self, job: _Job) -> Any:
        with self._thread.condition:
            if not self._thread.is_running:
                msg = "the server is shutting down; send the request again to the next one"
                raise StoreUnavailable(msg)
            if self._jobs and self._num_waiting + job.cost > self._max_waiting_events:
                msg = f"{self._num_waiting} events are waiting to be written already; send the request again later"
                raise StoreUnavailable(msg)
            self._num_waiting += job.cost
            self._jobs.append(job)
            self._thread.condition.notify()
        return await job.future

    def _apply_next(self) -> None:
        group = self._next_group()
        work = group[0].work
        outcomes = self._apply_group(group) if work is None else [_outcome_of(work)]
        loop = group[0].future.get_loop()
        loop.call_soon_threadsafe(_resolve, [job.future for job in group], outcomes)

    def _next_group(self) -> list[_Job]:
        """What is done next in one go: one piece of other work, or all events up to the next one."""
        with self._thread.condition:
            group: list[_Job] = []
            cost = 0
            while self._jobs and (not group or self._fits(self._jobs[0], group, cost)):
                group.append(self._jobs.popleft())
                cost += group[-1].cost
            self._num_waiting -= cost
            return group

    def _fits(self, job: _Job, group: list[_Job], cost: int) -> bool:
        return job.work is None and group[0].work is None and cost + job.cost <= self._max_group_events

    def _apply_group(self, group: list[_Job]) -> list[Any]:
        """The outcome of each job: applied together, or one by one where that fails for a reason of some data."""
        together = _outcome_of(lambda: self._ingest([event for job in group for event in job.events]))
        if isinstance(together, IngestResult):
            return _split(together, group)
        if isinstance(together, StoreUnavailable) or len(group) == 1:
            return [together] * len(group)
        _log.warning("%d requests could not be applied together, trying one by one: %s", len(group), together)
        return [self._apply_alone(job) for job in group]

    def _apply_alone(self, job: _Job) -> Any:
        result = _outcome_of(lambda: self._ingest(job.events))
        return _split(result, [job])[0] if isinstance(result, IngestResult) else result

    def _ingest(self, events: Sequence[Interaction]) -> IngestResult:
        result = self._ingestor.ingest(events, self._source)
        try:
            self._follow(result.states.values())
        except Exception:  # the events are committed: no failure to follow may say otherwise
            _log.exception("the users changed by a commit could not be passed on; they are encoded when read")
        return result


def _outcome_of(work: Callable[[], Any]) -> Any:
    """What work returns or raises; the thread must outlive any one job, and the requester gets the error."""
    try:
        return work()
    except Exception as error:
        return error


def _split(result: IngestResult, group: list[_Job]) -> list[Applied]:
    """A combined result, cut into those of the requests."""
    applied = []
    start = 0
    for job in group:
        end = start + len(job.events)
        applied.append(Applied(result.statuses[start:end], result.user_seqs[start:end]))
        start = end
    return applied


def _resolve(futures: list[asyncio.Future[Any]], outcomes: list[Any]) -> None:
    """On the event loop: wake the requests up, all at once; one whose client has gone is cancelled already."""
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
