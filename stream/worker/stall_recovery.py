"""What a worker does about a partition that stands still: it is read again, and in vain, the worker ends itself.

It ends only where a worker started anew is likely to get further: messages wait, nothing is in hand, so it is not the
database; Kafka tells its bounds on a new connection, so it is not Kafka; and messages did come once, so it is not the
settings. Everything else waits, for the watchdog at the most. Knows nothing about Faust.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from core.errors import StreamUnavailable
from stream.worker.offset_tracker import OffsetTracker
from stream.worker.resume import Log, Resumer
from stream.worker.stall_detector import StallDetector
from stream.worker.status import PartitionStatus, WorkerStatus

logger = logging.getLogger(__name__)

ASK_EVERY_S = 10.0


class Client(Log, Protocol):
    """The consumer, asked about itself."""

    def read_to(self, partition: int) -> int | None:
        """The offset behind the last one that the client has taken from Kafka; None where that is not known."""
        ...

    async def bounds_anew(self) -> Mapping[int, tuple[int, int]]:
        """The bounds of every partition, asked on a connection that is made for it."""
        ...


class StallRecovery:
    """Looks at one worker's partitions while it has nothing in hand. `alive` is a sign of life, `end` the end.

    The client knows where the log ends from what it fetched last. One that fetches no more would never know that it is
    behind, so now and then Kafka is asked.
    """

    def __init__(
        self,
        topic: str,
        *,
        resumer: Resumer,
        positions: OffsetTracker,
        standstill: StallDetector,
        alive: Callable[[], None],
        end: Callable[[str], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._resumer = resumer
        self._positions = positions
        self._standstill = standstill
        self._alive = alive
        self._end = end
        self._now_s = now_s
        self._asked_s = -math.inf
        self._ends: dict[int, int] = {}

    def busy(self) -> None:
        """The worker has something in hand: what stands still now is waiting for that."""
        self._standstill.forget()

    async def look(self, status: WorkerStatus, client: Client) -> None:
        """Read again where messages wait and none comes, once; a sign of life where none can come."""
        partitions = await self._with_ends(status.partitions, client)
        for partition in self._standstill.check(partitions):
            came = bool(status.tally.num_messages)
            if came and self._standstill.in_vain(partition):
                await self._end_if_kafka_answers(partition, partitions[partition], client)
            logger.warning("%s/%d: messages wait, but none arrives: reading again", self._topic, partition)
            self._positions.forget(partition)
            await self._resumer.again(client, [partition])
            self._standstill.read_again(partition)
        if self._standstill.nothing_more(partitions, read_to=client.read_to):
            self._alive()

    async def _with_ends(self, partitions: Mapping[int, PartitionStatus], client: Client) -> dict[int, PartitionStatus]:
        if self._now_s() - self._asked_s >= ASK_EVERY_S:
            self._asked_s = self._now_s()
            try:
                self._ends = {partition: end for partition, (_, end) in (await client.bounds(partitions)).items()}
            except StreamUnavailable as error:
                logger.warning("%s: Kafka does not say where the log ends: %s", self._topic, error)
        return {
            partition: replace(status, log_end=max(status.log_end or 0, self._ends.get(partition, 0)))
            for partition, status in partitions.items()
        }

    async def _end_if_kafka_answers(self, partition: int, stands: PartitionStatus, client: Client) -> None:
        """The client was given another chance and took nothing. Whose fault is it?"""
        assert stands.log_end is not None
        assert stands.next_offset is not None
        if (client.read_to(partition) or 0) >= stands.log_end:
            return  # it has taken everything: those offsets hold no message
        try:
            _, end = (await client.bounds_anew())[partition]
        except StreamUnavailable as error:
            logger.warning("%s/%d: Kafka does not answer, so it is waited for: %s", self._topic, partition, error)
            return
        if end > stands.next_offset:
            place = f"{self._topic}/{partition}@{stands.next_offset}"
            self._end(f"{place}: messages wait and Kafka answers, but none arrives, nor did reading again help")
