"""Calls of the API that are repeated until they are answered, and how long none was."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.faults.processes import RecoveryTimeout

REQUEST_TIMEOUT_S = 5.0  # a suspended process answers nothing
TIMEOUT_S = 300.0  # all processes start again
PAUSE_S = 0.02
REPEATED = frozenset({httpx.codes.ACCEPTED, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS})
Json = dict[str, Any]


class Outages:
    """The times during which a client got no answer: from a call that failed until it succeeded. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._durations_s: list[float] = []

    def add(self, duration_s: float) -> None:
        """Add the outage of one call."""
        with self._lock:
            self._durations_s.append(duration_s)

    def longest_s(self) -> float:
        """The longest outage since the last question, in seconds; 0 if there was none."""
        with self._lock:
            longest_s, self._durations_s = max(self._durations_s, default=0.0), []
        return longest_s


class Calls:
    """One client's connections to APIs, which it asks in turn.

    A call is repeated where it got no answer, or 503 or 429, or 202: its events are durable, but not applied yet.
    """

    def __init__(self, urls: Sequence[str], outages: Outages) -> None:
        self._http = httpx.Client(timeout=REQUEST_TIMEOUT_S)
        self._urls = itertools.cycle(urls)
        self._outages = outages

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def once(self, method: str, path: str, **content: Any) -> httpx.Response | None:
        """The answer, whatever its status; None where none came."""
        try:
            return self._http.request(method, next(self._urls) + path, **content)
        except httpx.TransportError:
            return None

    def until_answered(self, method: str, path: str, *, done: Collection[int] = (), **content: Any) -> Json:
        """The body of the answer to the first call that is answered with 2xx, or is a repetition answered with `done`.

        `done`: statuses that a repetition gets where the call before it took effect. Raises `RecoveryTimeout` for
        another status, and where no call succeeds in time.
        """
        started_s, repeated = time.monotonic(), False
        while time.monotonic() < started_s + TIMEOUT_S:
            response = self.once(method, path, **content)
            if response is not None and response.status_code not in REPEATED:
                if repeated:
                    self._outages.add(time.monotonic() - started_s)
                if response.is_success or (repeated and response.status_code in done):
                    body: Json = response.json()
                    return body
                msg = f"{method} {path} was answered {response.status_code}: {response.text[:300]}"
                raise RecoveryTimeout(msg)
            repeated = True
            time.sleep(PAUSE_S)
        msg = f"{method} {path} was not answered within {TIMEOUT_S:.0f} s"
        raise RecoveryTimeout(msg)
