"""Stall handling: what a worker does where messages wait and none is applied.

    one partition   `StallDetector` notices that its next offset stands still while it lags; `StallRecovery` seeks it
                    again, which takes milliseconds. If that does not help although Kafka reports messages on a new
                    connection, the worker exits: a restarted one is likely to get further.
    the worker      `Watchdog` runs in a thread of its own, because the event loop itself may be blocked. It exits a
                    worker that has not reset it for `timeout_s`, wherever that worker hangs.

Waiting for a database or for Kafka is not a stall. Independent of Faust.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from core.background import BackgroundThread
from core.errors import StreamUnavailable
from stream.kafka.admin import PartitionStatus
from stream.worker.offset_seeker import OffsetSeeker, SeekableConsumer
from stream.worker.offset_tracker import OffsetTracker
from stream.worker.status import WorkerStatus

logger = logging.getLogger(__name__)

EXIT_STALLED = 70  # EX_SOFTWARE
MAX_TIMEOUT_S = 60.0
END_OFFSETS_EVERY_S = 10.0


def exit_process(reason: str) -> None:
    """Exit at once: whatever hangs would also block an orderly stop, and nothing acknowledged can be lost."""
    logger.critical("%s; this worker exits with code %d, to be restarted", reason, EXIT_STALLED)
    logging.shutdown()
    os._exit(EXIT_STALLED)


@dataclass(slots=True)
class _Observation:
    status: PartitionStatus
    since_s: float
    timeout_s: float
    num_seeks: int = 0


class StallDetector:
    """Decides which partitions of a worker stand still, from their status while the worker applies nothing."""

    def __init__(self, *, timeout_s: float = 3.0, now_s: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._now_s = now_s
        self._observations: dict[int, _Observation] = {}

    def check(self, partitions: Mapping[int, PartitionStatus]) -> list[int]:
        """The partitions to seek again: they lag and have not moved within their timeout."""
        now_s = self._now_s()
        self._observations = {number: self._observe(number, status, now_s) for number, status in partitions.items()}
        return [
            number
            for number, seen in self._observations.items()
            if seen.status.lag and now_s - seen.since_s >= seen.timeout_s
        ]

    def mark_sought(self, partition: int) -> None:
        """The partition was sought again, and its timeout starts anew; at the same offset the timeout doubles."""
        seen = self._observations[partition]
        seen.since_s = self._now_s()
        seen.timeout_s = min(seen.timeout_s * 2, MAX_TIMEOUT_S)
        seen.num_seeks += 1

    def was_sought(self, partition: int) -> bool:
        """Whether the partition was sought again at its present offset."""
        return bool(self._observations[partition].num_seeks)

    def reset(self) -> None:
        """The worker is applying messages: until it is done, no partition is expected to move."""
        self._observations.clear()

    def _observe(self, partition: int, status: PartitionStatus, now_s: float) -> _Observation:
        seen = self._observations.get(partition)
        if seen and seen.status.lag and status.lag and seen.status.next_offset == status.next_offset:
            seen.status = status
            return seen
        return _Observation(status, now_s, self._timeout_s)


class ReconnectingConsumer(SeekableConsumer, Protocol):
    """A consumer that can also ask Kafka on a new connection."""

    async def log_bounds_on_new_connection(self) -> Mapping[int, tuple[int, int]]:
        """Log start offset and end offset of every partition, independent of the state of the consumer's client."""
        ...


class StallRecovery:
    """Seeks stalled partitions again, and exits the worker where that does not help.

    `reset_watchdog` is called while all partitions are caught up. The client takes the end offset from its last fetch,
    so a client that has stopped fetching does not see its lag: a request to Kafka every 10 s reads the end offsets too.
    """

    def __init__(
        self,
        topic: str,
        *,
        seeker: OffsetSeeker,
        offsets: OffsetTracker,
        detector: StallDetector,
        reset_watchdog: Callable[[], None],
        exit_worker: Callable[[str], None] = exit_process,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._seeker = seeker
        self._offsets = offsets
        self._detector = detector
        self._reset_watchdog = reset_watchdog
        self._exit_worker = exit_worker
        self._now_s = now_s
        self._requested_s = -math.inf
        self._end_offsets: dict[int, int] = {}

    def reset(self) -> None:
        """The worker is applying messages: until it is done, no partition is expected to move."""
        self._detector.reset()

    async def request_end_offsets(self, partitions: Iterable[int], consumer: ReconnectingConsumer) -> None:
        """Ask Kafka for the end offsets where the last answer is 10 s old; takes as long as a fetch may wait."""
        if self._now_s() - self._requested_s < END_OFFSETS_EVERY_S:
            return
        self._requested_s = self._now_s()
        try:
            bounds = await consumer.log_bounds(partitions)
            self._end_offsets = {partition: end for partition, (_, end) in bounds.items()}
        except StreamUnavailable as error:
            logger.warning("%s: Kafka did not return the end offsets: %s", self._topic, error)

    async def check(self, status: WorkerStatus, consumer: ReconnectingConsumer) -> None:
        """Seek stalled partitions again; reset the watchdog where no message is left. `status`: as of now."""
        partitions = {
            partition: replace(seen, end_offset=max(seen.end_offset or 0, self._end_offsets.get(partition, 0)))
            for partition, seen in status.partitions.items()
        }
        for partition in self._detector.check(partitions):
            # A worker that has received nothing yet may have wrong settings: a restart would not help.
            has_received = status.counters.num_messages > 0
            if has_received and self._detector.was_sought(partition):
                await self._exit_if_kafka_responds(partition, partitions[partition], consumer)
            position = f"{self._topic}/{partition}@{partitions[partition].next_offset}"
            logger.warning("%s: messages wait, but none arrives: seeking again", position)
            self._offsets.forget(partition)
            await self._seeker.seek(consumer, [partition])
            self._detector.mark_sought(partition)
        if all(status.next_offset is not None and not status.lag for status in partitions.values()):
            self._reset_watchdog()

    async def _exit_if_kafka_responds(
        self, partition: int, status: PartitionStatus, consumer: ReconnectingConsumer
    ) -> None:
        """Exit where the client fetched nothing after a seek, although Kafka has messages and responds."""
        assert status.next_offset is not None
        position = f"{self._topic}/{partition}@{status.next_offset}"
        try:
            _, end = (await consumer.log_bounds_on_new_connection())[partition]
        except StreamUnavailable as error:
            logger.warning("%s: Kafka does not respond, waiting for it: %s", position, error)
            return
        if end > status.next_offset:
            self._exit_worker(
                f"{position}: messages wait and Kafka responds, but none arrives, and seeking again did not help"
            )


class Watchdog:
    """Exits the worker `timeout_s` after the last reset."""

    def __init__(
        self,
        *,
        timeout_s: float,
        exit_worker: Callable[[str], None] = exit_process,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = timeout_s
        self._exit_worker = exit_worker
        self._now_s = now_s
        self._reset_s = now_s()
        self._thread = BackgroundThread("watchdog", self.check, period_s=min(1.0, timeout_s / 4))

    def reset(self) -> None:
        """Restart the timeout: something was applied or tried, or no message is left."""
        self._reset_s = self._now_s()

    def check(self) -> None:
        """Exit where the timeout has passed."""
        idle_s = self._now_s() - self._reset_s
        if idle_s > self._timeout_s:
            self._exit_worker(f"messages wait, but nothing was applied or tried for {idle_s:.0f} s")

    def start(self) -> None:
        """Check periodically until `stop`."""
        self.reset()
        self._thread.start()

    def stop(self) -> None:
        """Stop checking."""
        self._thread.stop()
