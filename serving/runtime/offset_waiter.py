"""The offset waiter: wakes requests when the database has applied the offsets that they wait for.

One poller serves all waiting requests, and none runs while no request waits: more requests cost the database nothing,
and an idle API nothing at all. Independent of HTTP and Kafka: progress is an offset per partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.errors import StoreError
from serving.runtime.query_executor import QueryExecutor

POLL_S = 0.003  # half of it is added to an answer on average; a poll costs the database about 0.1 ms
UNAVAILABLE_POLL_S = 0.25

Offsets = Mapping[int, int]


@dataclass(eq=False, slots=True)
class _Waiter:
    """One request, with the offset that it waits for in each partition."""

    target: Offsets
    applied: asyncio.Event = field(default_factory=asyncio.Event)

    def check(self, offsets: Offsets) -> None:
        if all(offsets.get(partition, -1) >= offset for partition, offset in self.target.items()):
            self.applied.set()


class OffsetWaiter:
    """Waits for offsets. `read_offsets` reads the database, in a separate thread."""

    def __init__(self, read_offsets: Callable[[], Offsets], *, poll_s: float = POLL_S) -> None:
        self._read_offsets = read_offsets
        self._poll_s = poll_s
        self._thread = QueryExecutor(num_threads=1, max_waiting=1, name="applied")
        self._waiters: set[_Waiter] = set()
        self._poller: asyncio.Task[None] | None = None

    @property
    def num_waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiters)

    async def reached(self, target: Offsets, *, timeout_s: float) -> bool:
        """Wait until every partition has been applied up to its offset; False on timeout."""
        waiter = _Waiter(target)
        self._waiters.add(waiter)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.applied.wait()
        except TimeoutError:
            return False
        finally:
            self._waiters.discard(waiter)
        return True

    async def stop(self) -> None:
        """Stop polling; waiting requests run into their timeout."""
        if self._poller is not None:
            self._poller.cancel()
        await self._thread.stop()

    async def _poll(self) -> None:
        while self._waiters:
            try:
                offsets = await self._thread.run(self._read_offsets)
            except StoreError:  # requests wait on, until their own timeout
                await asyncio.sleep(UNAVAILABLE_POLL_S)
                continue
            for waiter in self._waiters:
                waiter.check(offsets)
            await asyncio.sleep(self._poll_s)
