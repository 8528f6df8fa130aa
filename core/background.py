"""Background threads: one life cycle (start, wake, stop with a deadline) for all work beside requests.

Independent of what the work does. The standard library's thread pools have no periodic work, no wake-up and no way to
drain a queue at the end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Condition, Thread

from core.errors import TidewiseError

logger = logging.getLogger(__name__)


def _never() -> bool:
    return False


class BackgroundThread:
    """Calls `work` in a daemon thread: every `period_s`, after `wake`, and while `ready` returns True.

    `ready` is called with `condition` held, which guards whatever it reads: change that, and notify, inside
    `with thread.condition`. `drain`: on stop, go on until `ready` returns False. An exception of `work` goes to
    `on_error` (by default to the log), and the thread goes on.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        *,
        period_s: float | None = None,
        ready: Callable[[], bool] = _never,
        drain: bool = False,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self.condition = Condition()
        self._name = name
        self._work = work
        self._period_s = period_s
        self._ready = ready
        self._drain = drain
        self._on_error = on_error or self._log_error
        self._woken = False
        self._running = False
        self._thread: Thread | None = None
        self._succeeded_s = time.monotonic()

    @property
    def is_running(self) -> bool:
        """Whether it was started and `request_stop` was not called."""
        return self._running

    @property
    def age_s(self) -> float:
        """Seconds since `work` last returned without an error, or since this object was made."""
        return time.monotonic() - self._succeeded_s

    def start(self) -> None:
        """Start the thread."""
        self._running = True
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Call `work` now instead of at the end of the period; during a call: once more after it."""
        with self.condition:
            self._woken = True
            self.condition.notify_all()

    def request_stop(self) -> None:
        """Ask it to end after the call in progress; returns at once."""
        with self.condition:
            self._running = False
            self.condition.notify_all()

    def stop(self, *, timeout_s: float | None = None) -> bool:
        """Let the call in progress finish and end; False where it has not ended within `timeout_s`."""
        self.request_stop()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def pause(self, timeout_s: float, *, until: Callable[[], bool] = _never) -> None:
        """For `work`: wait for a condition, which is checked as `ready` is; ends early on a stop."""
        with self.condition:
            self.condition.wait_for(lambda: not self._running or until(), timeout=timeout_s)

    def _run(self) -> None:
        while self._wait():
            try:
                self._work()
                self._succeeded_s = time.monotonic()
            except Exception as error:  # the thread must outlive a failed call
                self._on_error(error)

    def _wait(self) -> bool:
        """Wait for the next call; False at the end."""
        with self.condition:
            self.condition.wait_for(lambda: self._woken or not self._running or self._ready(), timeout=self._period_s)
            self._woken = False
            return self._running or (self._drain and self._ready())

    def _log_error(self, error: Exception) -> None:
        if isinstance(error, TidewiseError):
            logger.error("%s: %s", self._name, error)
        else:
            logger.error("%s failed; it goes on with the next call", self._name, exc_info=error)
