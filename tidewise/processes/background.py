"""What runs beside the requests of `tidewise up`: the renewal of the snapshot, and learning.

Knows nothing about HTTP. Each is one thread with a condition: it can be woken at once and ended at once.
"""

from __future__ import annotations

import logging
import math
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from core.learn.triggers import Job
from tidewise.pools import POOL_VARIABLES
from tidewise.processes.this_process import own_command

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 3600.0  # after a job that failed


class Learning:
    """Begins a learning job in a child process when one is due; call `check` now and then.

    The child writes models and records itself, and the next refresh notices. After a child that failed it waits
    longer each time, so that a fault cannot keep the machine busy for ever.
    """

    def __init__(
        self,
        *,
        next_job: Callable[[], Job | None],
        arguments: Sequence[str],
        variables: Mapping[str, str],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._next_job = next_job
        self._arguments = list(arguments)
        self._variables = dict(variables)
        self._now_s = now_s
        self._child: subprocess.Popen[bytes] | None = None
        self._failures_in_a_row = 0
        self.num_begun = self.num_failed = 0
        self._not_before_s = -math.inf

    @property
    def is_learning(self) -> bool:
        """Whether a child is at work."""
        return self._child is not None

    def check(self) -> None:
        """Start the child when it is time, and notice its end."""
        if self._child is not None:
            self._reap(self._child)
            return
        job = self._next_job() if self._now_s() >= self._not_before_s else None
        if job is None:
            return
        self.num_begun += 1
        logger.info("learning (%s): %s", job.kind, job.reason)
        command = own_command("learn", "--once", "--child", *self._arguments)
        inherited = {name: value for name, value in os.environ.items() if name not in POOL_VARIABLES}
        variables = {**inherited, **self._variables}
        self._child = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL)  # noqa: S603 - our own

    def stop(self) -> None:
        """End the child; the next one goes on with what it had not finished."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
            self._child = None

    def _reap(self, child: subprocess.Popen[bytes]) -> None:
        code = child.poll()
        if code is None:
            return
        self._child = None
        self._failures_in_a_row = self._failures_in_a_row + 1 if code else 0
        if code:
            self.num_failed += 1
            pause_s = min(FIRST_PAUSE_S * 2 ** (self._failures_in_a_row - 1), LONGEST_PAUSE_S)
            self._not_before_s = self._now_s() + pause_s
            logger.error("learning ended with code %d; it is tried again in %d s", code, pause_s)
