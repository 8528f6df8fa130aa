"""The thread in which Faust's Kafka client lives: it outlives brokers that die and come back, and never waits for long.

Knows nothing about events, nor about where to read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

COMMIT_S = 5.0  # what waits for a commit reads nothing meanwhile: Faust does after 10,000 messages
BOUNDS_S = 3.0  # a broker that is there answers in milliseconds


class LenientConsumerThread(driver.AIOKafkaConsumerThread):
    """Commits group offsets as far as Kafka lets it: they serve monitoring alone, so no failure ends the worker.

    Faust's own crashes when a rebalance takes the last partition away between two of its steps.

    Its loop is asyncio's own. Where a broker resets connections, uvloop answers the next write with a RuntimeError,
    which the client does not expect (aiokafka issue 1038): at the wrong moment it ends, in silence, the task that keeps
    metadata up to date. From then on no coordinator is found, no heartbeat sent and no question for offsets answered.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, thread_loop=asyncio.SelectorEventLoop(), **kwargs)

    async def stop(self) -> None:
        """End the thread, then its loop: Faust closes only what it has made."""
        await super().stop()
        self.thread_loop.close()

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """As mode's, but who asks while the thread ends, or later, waits to be ended as well: nobody answers any more.

        A rebalance may be under way when the worker is told to stop, and would seek in a loop that is closed.
        """
        if self.should_stop:
            await asyncio.Event().wait()
        return await super().call_thread(fun, *args, **kwargs)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        assigned = self.assignment()
        mine = {
            driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        if not mine:
            return False
        try:
            async with asyncio.timeout(COMMIT_S):
                await self._ensure_consumer().commit(mine)
        except (TimeoutError, KafkaError) as error:
            self.log.warning("Group offsets were not committed: %s: %s", type(error).__name__, error)
            return False
        self.tp_last_committed_at.update(dict.fromkeys(mine, monotonic()))
        return True

    async def bounds(self, partitions: Sequence[TP]) -> Mapping[int, tuple[int, int]]:
        """For each partition its first offset, and the offset that its next message will get."""
        found: Mapping[int, tuple[int, int]] = await self.call_thread(self._bounds, partitions)
        return found

    async def _bounds(self, partitions: Sequence[TP]) -> Mapping[int, tuple[int, int]]:
        consumer = self._ensure_consumer()
        async with asyncio.timeout(BOUNDS_S):  # here, not where it is awaited: two calls at a time is all Faust lets in
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        return {tp.partition: (starts[tp], ends[tp]) for tp in partitions}

    def read_to(self, partition: TopicPartition) -> int | None:
        """The offset behind the last one that was taken from Kafka; None where that is not known."""
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001 - `position` would wait
        state = subscription.assignment.state_value(partition) if subscription and subscription.assignment else None
        return state.position if state and state.has_valid_position else None
