"""The query executor: a bounded thread pool for blocking calls, so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.errors import Overloaded

T = TypeVar("T")


class QueryExecutor:
    """A thread pool that rejects work beyond `max_waiting` at once, instead of letting it age in a queue."""

    def __init__(self, *, num_threads: int, max_waiting: int, name: str = "reader") -> None:
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix=name)
        self._max_waiting = max_waiting
        self._num_waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function on one of the threads; raises `Overloaded` where too many wait already."""
        if self._num_waiting >= self._max_waiting:
            msg = f"{self._num_waiting} requests are waiting already; try again in a moment"
            raise Overloaded(msg)
        self._num_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._num_waiting -= 1

    async def stop(self) -> None:
        """Finish submitted work, then end the threads."""
        await asyncio.to_thread(self._pool.shutdown)
