"""Following and learning in a process: refresh of the snapshot, and encoding of users after commits."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from core.background import BackgroundThread
from core.clock import WallClock
from core.learn.cycle import next_job
from core.learn.triggers import Job
from core.recommendation.encoding_queue import EncodingQueue
from core.records import UserState
from tidewise.bootstrap import System
from tidewise.processes.background import Learning
from tidewise.settings.schema import Settings
from tidewise.training.learning import TRAINER
from tidewise.training.plans import learning_schedule

logger = logging.getLogger(__name__)

API_BATCH = 16  # some 5 ms of encoding: requests wait for no more than that
LINGER_S = 0.03  # who clicks mostly asks at once: encoding the same user twice would cost both of them
WORKER_BATCH = 512  # nobody waits for a worker's encodes: as large as still coalesces well
WORKER_LINGER_S = 0.25  # a batch is a transaction: a few full ones a second leave the disk and the cores to commits
CHECK_LEARNING_S = 1.0
REFRESH_S = 1.0  # how old popularity may be, and how soon another process's changes are noticed


def start_refresh(stack: ExitStack, system: System) -> BackgroundThread:
    """Read the catalogue and the champion now, and again every second or when woken, until the stack unwinds."""
    from model.training.threads import limit_threads

    limit_threads(1)  # requests run side by side; more threads each would only queue
    system.snapshots.refresh()
    if system.snapshots.problem:
        logger.error("the champion does not serve: %s", system.snapshots.problem)
    refresh = BackgroundThread("refresh", system.snapshots.refresh, period_s=REFRESH_S)
    refresh.start()
    stack.callback(refresh.stop)
    return refresh


def start_learning(
    stack: ExitStack, system: System, *, arguments: Sequence[str], variables: Mapping[str, str]
) -> Learning:
    """Begin learning jobs in child processes when they are due, until the stack unwinds."""
    codes, schedule = system.types.flagged("window"), learning_schedule(system.settings)

    def job() -> Job | None:
        with system.store.read() as read:
            lease = read.leases.find(TRAINER)
        if lease is not None and lease.expires_ms > WallClock().now_ms():
            return None  # somebody is at work
        return next_job(system.store, type_codes=codes, schedule=schedule, clock=WallClock())

    learning = Learning(next_job=job, arguments=arguments, variables=variables)
    stack.callback(learning.stop)
    checks = BackgroundThread("learning", learning.check, period_s=CHECK_LEARNING_S)
    checks.start()
    stack.callback(checks.stop)
    return learning


def start_follower(stack: ExitStack, system: System) -> EncodingQueue:
    """Encode dirty users in a thread, until the stack unwinds."""
    return _started(
        stack, EncodingQueue(system.recommender.encode, on_error=_log_error, batch=API_BATCH, linger_s=LINGER_S)
    )


def start_follower_of_commits(stack: ExitStack, settings: Settings) -> EncodingQueue:
    """The follower of a worker: it encodes in a process of its own, where vectors are passed on through the store."""
    if not settings.shares_vectors:
        return _started(stack, EncodingQueue(_leave_to_readers, on_error=_log_error))
    from tidewise.processes.encoder_process import HEAD_START_S, EncoderProcess

    encoder = EncoderProcess(settings, head_start_s=HEAD_START_S)
    stack.callback(encoder.stop)
    follower = _started(
        stack, EncodingQueue(encoder.encode, on_error=_log_error, batch=WORKER_BATCH, linger_s=WORKER_LINGER_S)
    )
    stack.callback(encoder.interrupt)  # first when the stack unwinds: a worker that stops waits for no encodes
    return follower


def _started(stack: ExitStack, follower: EncodingQueue) -> EncodingQueue:
    follower.start()
    stack.callback(follower.stop)
    return follower


def _leave_to_readers(states: Sequence[UserState]) -> int:
    """Where nobody else could read the vectors."""
    return 0


def _log_error(error: Exception) -> None:
    logger.error("users could not be encoded ahead; they are encoded when read", exc_info=error)
