"""The watch over a log's progress: wakes requests up when the database has applied the positions that they wait for.

One poller for however many requests wait, and none while nobody does: a request costs the database nothing more, and an
idle API nothing at all. Knows nothing about HTTP or Kafka: progress is a number per partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.errors import StoreError
from serving.runtime.query_executor import QueryExecutor

POLL_S = 0.003  # half of it is added to an answer on average; a poll costs the database about 0.1 ms
AWAY_POLL_S = 0.25

Offsets = Mapping[int, int]


@dataclass(eq=False, slots=True)
class _Waiter:
    """One request: the offset that it waits for in each partition."""

    wanted: Offsets
    applied: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, offsets: Offsets) -> None:
        if all(offsets.get(partition, -1) >= offset for partition, offset in self.wanted.items()):
            self.applied.set()


class OffsetWaiter:
    """Waits for offsets. `read_offsets` asks the database; it runs on a thread of its own."""

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

    async def reached(self, wanted: Offsets, *, timeout_s: float) -> bool:
        """Wait until every partition has been applied up to its offset; False on timeout."""
        waiter = _Waiter(wanted)
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
        """Poll no more; who still waits runs into their timeout."""
        if self._poller is not None:
            self._poller.cancel()
        await self._thread.stop()

    async def _poll(self) -> None:
        while self._waiters:
            try:
                offsets = await self._thread.run(self._read_offsets)
            except StoreError:  # away for now: requests wait on, until their own timeout
                await asyncio.sleep(AWAY_POLL_S)
                continue
            for waiter in self._waiters:
                waiter.look(offsets)
            await asyncio.sleep(self._poll_s)
