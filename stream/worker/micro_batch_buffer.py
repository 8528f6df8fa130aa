"""What came from Kafka and is not yet being applied: Faust goes on handing over while a transaction runs.

Faust's own `noack_take` hands nothing over meanwhile and gathers for a fixed time, in which hardly a hundred messages
come through: behind a lag transactions stayed small and each side waited for the other. Here a batch is what came
during the last one, so that batches grow with the lag. Knows nothing about Faust. Used from one event loop.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class MicroBatchBuffer(Generic[T]):
    """Messages by partition, in the order in which they came.

    `room`: for so many, which make it pointless to wait for more; `within_s`: how long to wait for that many.
    """

    def __init__(self, *, room: int, within_s: float) -> None:
        self._size = room
        self._within_s = within_s
        self._waiting: dict[int, list[T]] = {}
        self._num = 0
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return self._num

    async def put(self, partition: int, message: T) -> None:
        """Add a message; waits while too many lie here."""
        while self._num >= self._size:
            self._room.clear()
            await self._room.wait()
        self._waiting.setdefault(partition, []).append(message)
        self._num += 1
        self._some.set()
        if self._num >= self._size:
            self._enough.set()

    async def take(self) -> dict[int, list[T]]:
        """All that came; waits for a first message, then a moment for company."""
        await self._some.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), self._within_s)
        taken, self._waiting, self._num = self._waiting, {}, 0
        self._some.clear()
        self._enough.clear()
        self._room.set()
        return taken
