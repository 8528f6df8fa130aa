"""Many clients of the API in one thread: kept connections, prepared requests, little cost beside the server's.

Each has requests due at random times, whether others wait or not, sends at once those that became due while it waited,
gives up after a time limit and connects again. What happened to each event is kept by its number, so that what is
stored can be compared with what clients were told.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

ANSWERS = 20  # items per answer
GIVES_UP_S = 15.0
BATCH = 20  # events of a large request
SHARE_OF_ANSWERS, SHARE_OF_BATCHES = 0.6, 0.05  # of the requests; the others post one event
UNANSWERED, ACKNOWLEDGED, REFUSED = 1, 2, 3  # of an event that was sent
OK, TOO_MANY, UNAVAILABLE = 200, 429, 503


@dataclass
class LoadReport:
    """What clients saw. `events`: the state of each event by its number; `took_s`: of answers with 200, in order.

    `recommended_s`, `posted_s`: of those of lists and of events.
    """

    events: bytearray = field(default_factory=bytearray)
    statuses: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    recommended_s: list[float] = field(default_factory=list)
    posted_s: list[float] = field(default_factory=list)
    num_impolite: int = 0  # 429 or 503 without Retry-After

    @property
    def num_sent(self) -> int:
        """Requests."""
        return self.statuses.total()


class LoadedApi:
    """The API on a port under load. `event_time_ms`: the time of the events that are sent; None: the server's."""

    def __init__(
        self,
        port: int,
        users: Sequence[str],
        items: Sequence[str],
        *,
        prefix: str,
        event_time_ms: Callable[[], int] | None = None,
    ) -> None:
        self.report = LoadReport()
        self._port, self._users, self._items = port, users, items
        self._prefix, self._event_time_ms = prefix, event_time_ms

    async def run(self, *, clients: int, rate: float | None, seconds: float) -> None:
        """Load it with so many requests a second by all clients together, at random times; None: as fast as it can."""
        end_s = time.monotonic() + seconds
        every_s = None if rate is None else clients / rate
        await asyncio.gather(*(self._client(number, every_s, end_s) for number in range(clients)))

    async def _client(self, number: int, every_s: float | None, end_s: float) -> None:
        random_source, connection = random.Random(number), _Connection(self._port)
        due_s = time.monotonic()
        while True:
            due_s += random_source.expovariate(1 / every_s) if every_s else 0.0
            if due_s >= end_s or time.monotonic() >= end_s:
                break
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await self._send(connection, random_source)
            if not every_s:
                due_s = time.monotonic()
        connection.close()

    async def _send(self, connection: _Connection, random_source: random.Random) -> None:
        kind = random_source.random()
        if kind < SHARE_OF_ANSWERS:
            user = quote(random_source.choice(self._users), safe="")
            await self._call(connection, f"GET /v1/users/{user}/recommendations?n={ANSWERS}", b"", range(0))
            return
        num_events = BATCH if kind > 1 - SHARE_OF_BATCHES else 1
        numbers = range(len(self.report.events), len(self.report.events) + num_events)
        self.report.events.extend([UNANSWERED] * num_events)
        events = [self._event(number, random_source) for number in numbers]
        await self._call(connection, "POST /v1/interactions", json.dumps({"events": events}).encode(), numbers)

    def _event(self, number: int, random_source: random.Random) -> dict[str, Any]:
        event = {
            "event_id": f"{self._prefix}{number}",
            "user_id": random_source.choice(self._users),
            "item_id": random_source.choice(self._items),
            "type": "click",
        }
        return event if self._event_time_ms is None else {**event, "time": self._event_time_ms()}

    async def _call(self, connection: _Connection, request: str, body: bytes, numbers: range) -> None:
        begin_s = time.monotonic()
        try:
            status, retry_after, content = await asyncio.wait_for(connection.call(request, body), GIVES_UP_S)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            connection.close()
            self.report.statuses["no answer: " + type(error).__name__] += 1
            return
        self.report.statuses[str(status)] += 1
        if status in (TOO_MANY, UNAVAILABLE):
            self.report.num_impolite += not retry_after
        if status != OK:
            for number in numbers:
                self.report.events[number] = REFUSED
            return
        took_s = time.monotonic() - begin_s
        self.report.took_s.append(took_s)
        (self.report.posted_s if numbers else self.report.recommended_s).append(took_s)
        if numbers:
            for number, result in zip(numbers, json.loads(content)["results"], strict=True):
                self.report.events[number] = ACKNOWLEDGED if result["status"] == "accepted" else REFUSED


class _Connection:
    """One kept connection, made when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: str, body: bytes) -> tuple[int, bool, bytes]:
        """The status, whether there is a Retry-After, and the body of an answer."""
        is_kept = self._streams is not None
        try:
            return await self._exchange(request, body)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            has_begun = isinstance(error, asyncio.IncompleteReadError) and error.partial
            if has_begun or not is_kept:
                raise
        self.close()  # a server ends connections that were idle for long; events have ids, so it may ask again
        return await self._exchange(request, body)

    async def _exchange(self, request: str, body: bytes) -> tuple[int, bool, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = f"{request} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), "retry-after" in headers, content

    def close(self) -> None:
        """End it; the next call makes a new one."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
        self._streams = None
