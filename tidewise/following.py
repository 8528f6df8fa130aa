"""Following in a process: the view is renewed now and then, and users are encoded behind the commits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack

from core.follow import Follower
from core.ports import UserState
from tidewise.background import Periodic
from tidewise.bootstrap import System
from tidewise.settings import Settings

logger = logging.getLogger(__name__)

API_BATCH = 16  # some 5 ms of encoding: requests wait for no more than that
LINGER_S = 0.03  # who clicks mostly asks at once: encoding the same user twice would cost both of them
WORKER_BATCH = 512  # nobody waits for a worker's encodes: as large as still coalesces well
REFRESH_S = 1.0  # how old popularity may be, and how soon another process's changes are noticed


def start_refresh(stack: ExitStack, system: System) -> Periodic:
    """Read the catalogue and the champion now, and again every second or when nudged, until the stack unwinds."""
    from model.threads import limit_threads

    limit_threads(1)  # requests run side by side; more threads each would only queue
    system.views.refresh()
    if system.views.problem:
        logger.error("the champion does not serve: %s", system.views.problem)
    refresh = Periodic("refresh", system.views.refresh, period_s=REFRESH_S)
    refresh.start()
    stack.callback(refresh.stop)
    return refresh


def start_follower(stack: ExitStack, system: System) -> Follower:
    """Encode dirty users in a thread, until the stack unwinds."""
    return _started(stack, Follower(system.recommender.encode, on_error=_log_error, batch=API_BATCH, linger_s=LINGER_S))


def start_follower_of_commits(stack: ExitStack, settings: Settings) -> Follower:
    """The follower of a worker: it encodes in a process of its own, where vectors are passed on through the store."""
    if not settings.shares_vectors:
        return _started(stack, Follower(_leave_to_readers, on_error=_log_error))
    from tidewise.encoder_process import HEAD_START_S, EncoderProcess

    encoder = EncoderProcess(settings, head_start_s=HEAD_START_S)
    stack.callback(encoder.stop)
    follower = _started(stack, Follower(encoder.encode, on_error=_log_error, batch=WORKER_BATCH))
    stack.callback(encoder.interrupt)  # first when the stack unwinds: a worker that stops waits for no encodes
    return follower


def _started(stack: ExitStack, follower: Follower) -> Follower:
    follower.start()
    stack.callback(follower.stop)
    return follower


def _leave_to_readers(states: Sequence[UserState]) -> int:
    """Where nobody else could read the vectors."""
    return 0


def _log_error(error: Exception) -> None:
    logger.error("users could not be encoded ahead; they are encoded when read", exc_info=error)
