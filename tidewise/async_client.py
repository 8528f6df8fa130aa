"""A client of the public HTTP API for asyncio: the calls of `Client`, each in a thread, so that the event loop goes on.

async with AsyncClient("http://localhost:8080") as client:
answer = await client.call(Client.recommend, "ann", n=5)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from tidewise.client import Client

P = ParamSpec("P")
T = TypeVar("T")


class AsyncClient:
    """The API at a URL, with persistent connections: use it in an `async with` block.

    The options are those of `Client`. `concurrency`: how many calls are under way at once; others wait for one of them.
    """

    def __init__(self, base_url: str, *, concurrency: int = 16, **options: object) -> None:
        self._client = Client(base_url, **options)  # type: ignore[arg-type]
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="tidewise client")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def call(self, method: Callable[Concatenate[Client, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a method of `Client`; raises what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(method, self._client, *args, **kwargs))
