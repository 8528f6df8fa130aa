"""The learning scheduler: starts a training in a child process when one is due."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from core.background import BackgroundThread
from core.clock import WallClock
from core.learn.cycle import next_job
from core.learn.triggers import Job
from tidewise.bootstrap import System
from tidewise.process_setup import THREAD_VARIABLES, own_command
from tidewise.training.learning import TRAINER
from tidewise.training.plans import learning_schedule

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 3600.0  # after a job that failed
CHECK_PERIOD_S = 1.0


def start_learning(
    stack: ExitStack, system: System, *, arguments: Sequence[str], variables: Mapping[str, str]
) -> LearningScheduler:
    """Start learning jobs in child processes when they are due, until the stack unwinds."""
    codes, schedule = system.types.flagged("window"), learning_schedule(system.settings)

    def due_job() -> Job | None:
        with system.store.read() as read:
            lease = read.leases.find(TRAINER)
        if lease is not None and lease.expires_ms > WallClock().now_ms():
            return None  # another trainer is at work
        return next_job(system.store, type_codes=codes, schedule=schedule, clock=WallClock())

    scheduler = LearningScheduler(next_job=due_job, arguments=arguments, variables=variables)
    stack.callback(scheduler.stop)
    checks = BackgroundThread("learning", scheduler.check, period_s=CHECK_PERIOD_S)
    checks.start()
    stack.callback(checks.stop)
    return scheduler


class LearningScheduler:
    """Starts a child process when a job is due; `check` is to be called periodically.

    The child writes models and records itself, and the next refresh notices. After a failed child the pause doubles
    each time, so that a permanent fault does not keep the machine busy.
    """

    def __init__(
        self,
        *,
        next_job: Callable[[], Job | None],
        arguments: Sequence[str],
        variables: Mapping[str, str],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`arguments`, `variables`: the child's options and environment, which give it the same settings."""
        self._next_job = next_job
        self._arguments = list(arguments)
        self._variables = dict(variables)
        self._now_s = now_s
        self._child: subprocess.Popen[bytes] | None = None
        self._failures_in_a_row = 0
        self.num_started = self.num_failed = 0
        self._not_before_s = -math.inf

    @property
    def is_learning(self) -> bool:
        """Whether a child is at work."""
        return self._child is not None

    def check(self) -> None:
        """Start a child when a job is due, or note the end of the running one."""
        if self._child is not None:
            self._reap(self._child)
            return
        job = self._next_job() if self._now_s() >= self._not_before_s else None
        if job is None:
            return
        self.num_started += 1
        logger.info("learning (%s): %s", job.kind, job.reason)
        command = own_command("learn", "--once", "--child", *self._arguments)
        inherited = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
        environment = {**inherited, **self._variables}
        self._child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our own

    def stop(self) -> None:
        """End the child; the next trainer resumes its job."""
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
