"""Periods of whole days in requests."""

from __future__ import annotations

from core.clock import DAY_MS, Clock
from core.errors import InvalidInput
from core.events.interactions import shorten
from serving.http.requests import time_of

DEFAULT_DAYS = 7


def days_of(since: str | None, until: str | None, *, clock: Clock) -> tuple[int, int]:
    """The first and the last day of a period, in days since 1970; raises `InvalidInput`."""
    until_day = clock.now_ms() // DAY_MS if until is None else time_of("until", until) // DAY_MS
    since_day = until_day - DEFAULT_DAYS + 1 if since is None else time_of("since", since) // DAY_MS
    if since_day > until_day:
        msg = f"since: wanted a day that is not after the last one, got {shorten(since)}"
        raise InvalidInput(msg, field="since")
    return since_day, until_day
