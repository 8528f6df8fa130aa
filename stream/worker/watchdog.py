"""Ends a worker that has messages to read and gets nowhere, so that its supervisor starts it again.

Waiting for a database is not being stuck: every attempt counts as a sign of life. Runs in a thread of its own, because
what it guards against includes a blocked event loop. Knows nothing about Kafka.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from core.background import BackgroundThread

logger = logging.getLogger(__name__)

EXIT_STUCK = 70  # EX_SOFTWARE


def end_process(reason: str) -> None:
    """End at once: what is stuck would also hold up an orderly stop, and nothing acknowledged can be lost."""
    logger.critical("%s; ending this worker with exit code %d, to be started again", reason, EXIT_STUCK)
    logging.shutdown()
    os._exit(EXIT_STUCK)


class Watchdog:
    """Ends the process when no sign of life came for `timeout_s`."""

    def __init__(
        self,
        *,
        timeout_s: float,
        end: Callable[[str], None] = end_process,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = timeout_s
        self._end = end
        self._now_s = now_s
        self._seen_s = now_s()
        self._thread = BackgroundThread("watchdog", self.check, period_s=min(1.0, timeout_s / 4))

    def alive(self) -> None:
        """A sign of life: something was applied or tried, or there is nothing to do."""
        self._seen_s = self._now_s()

    def check(self) -> None:
        """Look once."""
        silent_s = self._now_s() - self._seen_s
        if silent_s > self._timeout_s:
            self._end(f"messages wait, but nothing was applied or tried for {silent_s:.0f} s")

    def start(self) -> None:
        """Check periodically until `stop`."""
        self.alive()
        self._thread.start()

    def stop(self) -> None:
        """Stop checking."""
        self._thread.stop()
