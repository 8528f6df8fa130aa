"""Clocks: wall clock, stream clock and a manual clock for tests.

During the replay of an old log "now" is stream time: the highest event time applied so far.
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
        """The current time."""
        ...


class WallClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the machine's clock."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class StreamClock:
    """Stream time: the highest event time applied to the store; the wall clock before the first event."""

    newest_event_ms: Callable[[], int | None]

    def now_ms(self) -> int:
        """The highest event time applied."""
        newest = self.newest_event_ms()
        return WallClock().now_ms() if newest is None else newest


@dataclass(slots=True)
class ManualClock:
    """A clock that is advanced by hand, for tests and simulations."""

    time_ms: int

    def now_ms(self) -> int:
        """The time it was set to."""
        return self.time_ms

    def advance(self, *, by_ms: int) -> None:
        """Move the clock forward."""
        self.time_ms += by_ms
