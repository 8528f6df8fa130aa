"""The query executor: a bounded thread pool for blocking calls, so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.errors import Overloaded

T = TypeVar("T")


class QueryExecutor:
    """A thread pool that rejects work beyond `max_waiting`, and work that has waited longer than `max_wait_s`.

    Under more load than it carries, threads so work only for clients that are still there, however slow they are.
    """

    def __init__(
        self, *, num_threads: int, max_waiting: int, max_wait_s: float = float("inf"), name: str = "reader"
    ) -> None:
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix=name)
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._num_waiting = 0

    @property
    def num_waiting(self) -> int:
        """How many calls wait or run."""
        return self._num_waiting

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function on one of the threads; raises `Overloaded` where too many wait, or it waits too long."""
        since_s = time.monotonic()

        def work_in_time() -> T:
            self.check_in_time(since_s)
            return work()

        return await self.run_whenever(work_in_time)

    async def run_whenever(self, work: Callable[[], T]) -> T:
        """Run a function however long it waits; raises `Overloaded` where too many wait."""
        if self._num_waiting >= self._max_waiting:
            msg = f"{self._num_waiting} requests are waiting already; try again in a moment"
            raise Overloaded(msg)
        self._num_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._num_waiting -= 1

    def check_in_time(self, since_s: float) -> None:
        """Raise `Overloaded` for work that has waited since a moment of `time.monotonic`, if that is too long."""
        waited_s = time.monotonic() - since_s
        if waited_s > self._max_wait_s:
            msg = f"this request has waited for {waited_s:.1f} s; send it again later"
            raise Overloaded(msg)

    async def stop(self) -> None:
        """Finish submitted work, then end the threads."""
        await asyncio.to_thread(self._pool.shutdown)
