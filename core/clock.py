"""What time it is: by the wall, by the stream, or by hand in tests.

A replay of an old log lives in the log's own time: there "now" is the highest event time applied so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Clock(Protocol):
    """A source of "now" in integer milliseconds UTC."""

    def now_ms(self) -> int:
        """The present moment."""
        ...


class WallClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the machine's clock."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class StreamClock:
    """The highest event time applied to the store; the wall clock while there is none."""

    newest_event_ms: Callable[[], int | None]

    def now_ms(self) -> int:
        """The highest event time applied."""
        newest = self.newest_event_ms()
        return WallClock().now_ms() if newest is None else newest


@dataclass(slots=True)
class ManualClock:
    """A clock that stands still until it is moved: for tests and simulations."""

    time_ms: int

    def now_ms(self) -> int:
        """The time it was set to."""
        return self.time_ms

    def advance(self, *, by_ms: int) -> None:
        """Move the clock forward."""
        self.time_ms += by_ms
