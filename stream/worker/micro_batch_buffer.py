"""Messages received from Kafka that wait to be applied, while a transaction of earlier ones is in progress.

A batch is all that arrived during the previous transaction, so batches grow with the lag. Independent of Faust. Used
from one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

CAPACITY_BYTES = 64 * 2**20  # a message may have a mebibyte, so that a capacity in messages alone would be gigabytes


class MicroBatchBuffer(Generic[T]):
    """Messages by partition, in the order of their arrival.

    `capacity`, `capacity_bytes`: `put` waits at so many messages or bytes, of which a message has `size`. `linger_s`:
    how long `take` waits for the buffer to fill after a first message.
    """

    def __init__(
        self, *, capacity: int, linger_s: float, size: Callable[[T], int], capacity_bytes: int = CAPACITY_BYTES
    ) -> None:
        self._size = size
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._linger_s = linger_s
        self._messages: dict[int, list[T]] = {}
        self._num_messages = self._num_bytes = 0
        self._not_empty = asyncio.Event()
        self._full = asyncio.Event()
        self._not_full = asyncio.Event()

    def __len__(self) -> int:
        return self._num_messages

    async def put(self, partition: int, messages: Iterable[T]) -> None:
        """Add messages; waits while the buffer is full."""
        for message in messages:
            while self._is_full:
                self._not_full.clear()
                await self._not_full.wait()
            self._messages.setdefault(partition, []).append(message)
            self._num_messages += 1
            self._num_bytes += self._size(message)
            self._not_empty.set()
            if self._is_full:
                self._full.set()

    async def take(self) -> dict[int, list[T]]:
        """Remove and return all messages; waits for a first one, then lingers."""
        await self._not_empty.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._full.wait(), self._linger_s)
        taken, self._messages = self._messages, {}
        self._num_messages = self._num_bytes = 0
        self._not_empty.clear()
        self._full.clear()
        self._not_full.set()
        return taken

    @property
    def _is_full(self) -> bool:
        return self._num_messages >= self._capacity or self._num_bytes >= self._capacity_bytes
