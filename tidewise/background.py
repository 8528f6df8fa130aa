"""What runs beside the requests of `tidewise up`: the renewal of the view, and the training of a first model.

Knows nothing about HTTP. Each is one thread with a condition: it can be woken at once and ended at once.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Condition, Thread

from core.errors import TidewiseError
from core.ports import Store
from tidewise.pools import POOL_VARIABLES

logger = logging.getLogger(__name__)


class Periodic:
    """Calls `work` every `period_s`, or at once when nudged. An error is logged, the next call tries again."""

    def __init__(self, name: str, work: Callable[[], object], *, period_s: float) -> None:
        self._name = name
        self._work = work
        self._period_s = period_s
        self._condition = Condition()
        self._nudged = False
        self._running = False
        self._thread: Thread | None = None
        self._done_s = time.monotonic()

    @property
    def age_s(self) -> float:
        """How long ago `work` was last done without an error; at first, since this was made."""
        return time.monotonic() - self._done_s

    def start(self) -> None:
        """Begin."""
        self._running = True
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        """Let the next call come at once."""
        with self._condition:
            self._nudged = True
            self._condition.notify_all()

    def stop(self) -> None:
        """Let the call in progress finish, then end."""
        with self._condition:
            self._running = False
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._nudged or not self._running, timeout=self._period_s)
                if not self._running:
                    return
                self._nudged = False
            try:
                self._work()
                self._done_s = time.monotonic()
            except TidewiseError as error:
                logger.error("%s: %s", self._name, error)
            except Exception:
                logger.exception("%s failed; it is tried again in %s s", self._name, self._period_s)


class FirstTraining:
    """Trains the first model in a child process once enough events exist; call `check` now and then.

    The child writes the model and its record itself; the view's renewal notices the record. If a child fails, as many
    events again must arrive before the next try, so that a fault cannot keep the machine busy for ever.
    """

    def __init__(
        self, store: Store, *, min_events: int, arguments: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        self._store = store
        self._wanted = min_events
        self._arguments = list(arguments)
        self._variables = dict(variables)
        self._child: subprocess.Popen[bytes] | None = None
        self._has_model = False

    @property
    def is_training(self) -> bool:
        """Whether a child is at work."""
        return self._child is not None

    def check(self) -> None:
        """Start the child when it is time, and notice its end."""
        if self._has_model:
            return
        if self._child is not None:
            self._reap(self._child)
            return
        with self._store.read() as read:
            self._has_model = read.champion() is not None
            num_events = read.totals().events
        if not self._has_model and num_events >= self._wanted:
            logger.info("training a first model on %d events", num_events)
            command = [sys.executable, "-m", "tidewise", "train", "--child", *self._arguments]
            inherited = {name: value for name, value in os.environ.items() if name not in POOL_VARIABLES}
            variables = {**inherited, **self._variables}
            self._child = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL)  # noqa: S603 - our own
            self._wanted = num_events * 2

    def stop(self) -> None:
        """End the child; what it had not finished is trained anew another time."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
            self._child = None

    def _reap(self, child: subprocess.Popen[bytes]) -> None:
        code = child.poll()
        if code is None:
            return
        self._child = None
        if code:
            logger.error("training ended with code %d; it is tried again at %d events", code, self._wanted)
