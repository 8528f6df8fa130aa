"""Seeks a worker's partitions to the offset after the database's applied one; committed offsets are ignored.

Independent of Faust: a `SeekableConsumer` provides the log's bounds and seeks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from core.errors import InvalidSettings, OffsetOutOfLog, StoreUnavailable, StreamUnavailable, TopicMissing
from stream.worker.log_identity import IdentifiedLog, LogIdentity
from stream.worker.offset_tracker import OffsetTracker

logger = logging.getLogger(__name__)

RETRY_S = 0.5
T = TypeVar("T")


class SeekableConsumer(IdentifiedLog, Protocol):
    """The assigned partitions of one topic: `stream.kafka.consumer.DatabaseOffsetConsumer`."""

    def assigned_partitions(self) -> set[int]:
        """The partitions assigned to this worker."""
        ...

    async def log_bounds(self, partitions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
        """Log start offset and end offset of each partition."""
        ...

    async def seek_to(self, offsets: Mapping[int, int]) -> None:
        """Continue at these offsets, by partition."""
        ...


def resume_offset(topic: str, partition: int, *, applied: int | None, log_start: int, log_end: int) -> int:
    """The offset to read next, between the log start offset and the end offset.

    Raises `OffsetOutOfLog` where messages after `applied` have been deleted, or where the log is shorter than what the
    database has applied (a restored broker).
    """
    if applied is None:
        return log_start
    next_offset = applied + 1
    if log_start <= next_offset <= log_end:
        return next_offset
    if next_offset < log_start:
        num_deleted = log_start - next_offset
        problem = f"the log starts at {log_start}, so {num_deleted} offsets were deleted before they were applied"
    else:
        problem = f"the log ends at {log_end}, so it is not the log that the database has read"
    msg = (
        f"{topic}/{partition}: the database has applied up to offset {applied}, but {problem}; restore the log or the "
        "database that belong together, or look with `tidewise offsets show` and accept the loss with "
        f"`tidewise offsets set --partition {partition} --to earliest` (docs/operations.md)"
    )
    raise OffsetOutOfLog(msg)


class OffsetSeeker:
    """Seeks a consumer to the database's offsets. Used from one event loop.

    Rebalances overlap: partitions may be reassigned before the previous seek is done. That seek is then cancelled, and
    its caller waits for the seek of the newest assignment.

    `applied_offset` reads the database, off the loop. `fail` stops the worker. `reset_watchdog` is called while Kafka
    is unavailable: waiting for it is not a stall.
    """

    def __init__(
        self,
        topic: str,
        *,
        offsets: OffsetTracker,
        log: LogIdentity,
        applied_offset: Callable[[int], Awaitable[int | None]],
        fail: Callable[[BaseException], None],
        reset_watchdog: Callable[[], None] = lambda: None,
        timeout_s: float = 10.0,
    ) -> None:
        self._topic = topic
        self._offsets = offsets
        self._log = log
        self._applied_offset = applied_offset
        self._fail = fail
        self._reset_watchdog = reset_watchdog
        self._timeout_s = timeout_s
        self._task: asyncio.Task[None] | None = None
        self._is_assigned = False  # between an assignment and the next revocation
        self._done = asyncio.Event()

    def on_partitions_revoked(self) -> None:
        """Partitions are revoked: accept no message before the next seek."""
        self._is_assigned = False
        self._reset()

    def on_partitions_assigned(self) -> None:
        """Partitions are assigned and may be sought."""
        self._is_assigned = True

    def on_gap(self, partition: int, start: int, end: int) -> None:
        """The log has no message from offset `start` up to `end`, which is excluded. May be called from any thread."""
        self._offsets.add_gap(partition, start, end)

    def on_refused(self, error: InvalidSettings) -> None:
        """The brokers do not let this worker join its group: stop it."""
        self._fail(error)

    async def seek_assigned(self, consumer: SeekableConsumer) -> None:
        """Seek every assigned partition; during a rebalance, wait for the seek that follows the new assignment.

        Returns after `timeout_s` at the latest, because Faust gives up on a rebalance that takes long; while the
        database is unavailable the seek is retried in the background, and no message is accepted before it.
        """
        self._reset()
        if self._is_assigned:
            self._task = asyncio.ensure_future(self._seek_assigned(consumer))
        try:
            await asyncio.wait_for(self._done.wait(), self._timeout_s)
        except TimeoutError:
            logger.warning("%s: no seek within %g s of the rebalance; retrying", self._topic, self._timeout_s)

    def _reset(self) -> None:
        self._done.clear()
        self._offsets.reset()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _seek_assigned(self, consumer: SeekableConsumer) -> None:
        await self.seek(consumer, consumer.assigned_partitions())
        self._done.set()

    async def follow_log(self, consumer: SeekableConsumer) -> None:
        """Seek every assigned partition again where the topic was deleted and created again."""
        if await self._log.is_replaced(consumer):
            partitions = consumer.assigned_partitions()
            for partition in partitions:
                self._offsets.forget(partition)
            await self.seek(consumer, partitions)

    async def seek(self, consumer: SeekableConsumer, partitions: Iterable[int]) -> None:
        """Seek some partitions, retrying while the database or Kafka is unavailable."""
        try:
            await self._retried(lambda: self._seek(consumer, partitions))
        except Exception as error:
            self._fail(error)

    async def _retried(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except (StoreUnavailable, StreamUnavailable) as error:
                logger.warning("%s: the offset to read from is not known yet, retrying: %s", self._topic, error)
                await asyncio.sleep(RETRY_S)

    async def _of_kafka(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except TopicMissing:  # end the worker: its restart creates the topic
            raise
        except StreamUnavailable:
            self._reset_watchdog()
            raise

    async def _seek(self, consumer: SeekableConsumer, partitions: Iterable[int]) -> None:
        assigned = sorted(set(partitions) & consumer.assigned_partitions())
        await self._of_kafka(self._log.adopt(consumer))  # first: bounds of an older log would skip messages of this one
        applied = {partition: await self._applied_offset(partition) for partition in assigned}
        # after the offsets, which another worker may raise meanwhile: beyond an end that was read before
        bounds = await self._of_kafka(consumer.log_bounds(assigned))
        offsets = {}
        for partition in assigned:
            start, end = bounds[partition]
            offsets[partition] = resume_offset(
                self._topic, partition, applied=applied[partition], log_start=start, log_end=end
            )
        for partition, offset in offsets.items():
            self._offsets.seek(partition, offset)
        if offsets:
            await consumer.seek_to(offsets)
            positions = ", ".join(f"{self._topic}/{partition}@{offset}" for partition, offset in offsets.items())
            logger.info("reading from the database's offsets: %s", positions)
