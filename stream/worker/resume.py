"""Where a worker reads: behind the database's offset, wherever Kafka's own group offset stands.

Knows nothing about Faust: a `Log` is asked for its bounds and told where to read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from core.errors import OffsetOutOfLog, StoreUnavailable, StreamUnavailable, TopicMissing
from stream.worker.offset_tracker import OffsetTracker

logger = logging.getLogger(__name__)

RETRY_S = 0.5
T = TypeVar("T")


class Log(Protocol):
    """The assigned partitions of one topic, as a consumer sees them."""

    def assigned(self) -> set[int]:
        """The partitions that this worker owns."""
        ...

    async def bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        """For each partition its first offset, and the offset that its next message will get."""
        ...

    async def read_from(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on."""
        ...


def resume_offset(topic: str, partition: int, *, applied: int | None, log_start: int, log_end: int) -> int:
    """The offset to read next. `log_end` is the offset that the next message will get.

    Raises `OffsetOutOfLog` where messages after `applied` have been deleted, or where the log is shorter than what the
    database has applied (a topic made anew, a restored broker).
    """
    if applied is None:
        return log_start
    wanted = applied + 1
    if log_start <= wanted <= log_end:
        return wanted
    if wanted < log_start:
        found = f"the log begins at {log_start}, so {log_start - wanted} offsets were deleted before they were applied"
    else:
        found = f"the log ends at {log_end}, so it is not the log that the database has read"
    msg = (
        f"{topic}/{partition}: the database has applied up to offset {applied}, but {found}; restore the log or the "
        "database that belong together, or look with `tidewise offsets show` and accept the loss with "
        f"`tidewise offsets set --partition {partition} --to earliest` (docs/operations.md)"
    )
    raise OffsetOutOfLog(msg)


class Resumer:
    """Moves a consumer to where the database stands. Used from one event loop.

    Rebalances overlap: partitions may change hands again before the seek of the last time is done. So a seek that was
    overtaken does not count as done; its caller goes on waiting, until the seek of the newest assignment is.

    `applied_offset` asks the database, off the loop. `fail` ends the worker. `alive` is a sign of life: waiting for a
    Kafka that is away is not being stuck.
    """

    def __init__(
        self,
        topic: str,
        *,
        positions: OffsetTracker,
        applied_offset: Callable[[int], Awaitable[int | None]],
        fail: Callable[[BaseException], None],
        alive: Callable[[], None] = lambda: None,
        patience_s: float = 10.0,
    ) -> None:
        self._topic = topic
        self._positions = positions
        self._applied_offset = applied_offset
        self._fail = fail
        self._alive = alive
        self._patience_s = patience_s
        self._task: asyncio.Task[None] | None = None
        self._owns = False  # between an assignment and the next revocation
        self._done = asyncio.Event()

    def revoked(self) -> None:
        """Partitions change hands: what comes before the next seek does not count."""
        self._owns = False
        self._forget()

    def assigned(self) -> None:
        """The worker knows its partitions again, and may seek them."""
        self._owns = True

    async def resume(self, log: Log) -> None:
        """Seek every assigned partition; between a revocation and the next assignment, wait for the seek after it.

        Returns after `patience_s` at the latest, because Faust gives up on a rebalance that takes long; while the
        database is away the seek goes on in the background, and nothing is applied before it.
        """
        self._forget()
        if self._owns:
            self._task = asyncio.ensure_future(self._resume(log))
        try:
            await asyncio.wait_for(self._done.wait(), self._patience_s)
        except TimeoutError:
            logger.warning("%s: nobody has told where to read for %g s", self._topic, self._patience_s)

    def _forget(self) -> None:
        self._done.clear()
        self._positions.suspend()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _resume(self, log: Log) -> None:
        await self.again(log, log.assigned())
        self._done.set()

    async def again(self, log: Log, partitions: Iterable[int]) -> None:
        """Seek some partitions, trying until both the database and Kafka have answered."""
        try:
            await self._answered(lambda: self._seek(log, partitions))
        except Exception as error:
            self._fail(error)

    async def check(self, log: Log, partition: int, *, missing_from: int) -> None:
        """Raise `OffsetOutOfLog` if offsets from `missing_from` on were deleted before they were read."""
        bounds = await self._answered(lambda: self._bounds(log, [partition]))
        start, end = bounds[partition]
        resume_offset(self._topic, partition, applied=missing_from - 1, log_start=start, log_end=end)

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await ask()
            except (StoreUnavailable, StreamUnavailable) as error:
                logger.warning("%s: cannot tell where to read yet: %s", self._topic, error)
                await asyncio.sleep(RETRY_S)

    async def _bounds(self, log: Log, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        try:
            return await log.bounds(partitions)
        except TopicMissing:  # a worker started anew makes it, and says that it is not the log of this database
            raise
        except StreamUnavailable:
            self._alive()
            raise

    async def _seek(self, log: Log, partitions: Iterable[int]) -> None:
        wanted = sorted(set(partitions) & log.assigned())
        bounds = await self._bounds(log, wanted)
        offsets = {}
        for partition in wanted:
            applied = await self._applied_offset(partition)
            start, end = bounds[partition]
            offsets[partition] = resume_offset(self._topic, partition, applied=applied, log_start=start, log_end=end)
        for partition, offset in offsets.items():
            self._positions.sought(partition, offset)
        if offsets:
            await log.read_from(offsets)
            logger.info("%s: reading from the database's offsets %s", self._topic, offsets)
