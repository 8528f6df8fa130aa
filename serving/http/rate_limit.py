"""A rate limit as a token bucket: a second's requests may come at once, more have to wait."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """Allows `max_per_s` requests per second on average. Used by the thread of the event loop only."""

    def __init__(self, max_per_s: float, *, now_s: Callable[[], float]) -> None:
        """`max_per_s` > 0. `now_s`: a monotonic clock in seconds."""
        self._rate = max_per_s
        self._capacity = max(1.0, max_per_s)
        self._now_s = now_s
        self._tokens = self._capacity
        self._counted_s = now_s()

    def take(self) -> float:
        """Take a token: 0 if there was one, else the seconds until there will be."""
        now_s = self._now_s()
        self._tokens = min(self._capacity, self._tokens + (now_s - self._counted_s) * self._rate)
        self._counted_s = now_s
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate
