"""Encoding queues of processes: users are encoded after the commits that changed them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack

from core.recommendation.user_vectors.encoding_queue import EncodingQueue
from core.records.stored import UserState
from tidewise.bootstrap import System
from tidewise.processes.encoder_process import STARTUP_DELAY_S, EncoderProcess
from tidewise.settings.schema import Settings

logger = logging.getLogger(__name__)

API_BATCH = 16  # some 5 ms of encoding: requests wait for no more than that
API_LINGER_S = 0.03  # most users who click ask at once: encoding them twice would cost both of them
WORKER_BATCH = 512  # no request waits for a worker's vectors: the largest size that still coalesces well
WORKER_LINGER_S = 0.25  # a batch is a transaction: a few full ones a second leave the disk and the cores to commits


def start_encoding(stack: ExitStack, system: System) -> EncodingQueue:
    """Encode changed users in a thread of this process, until the stack unwinds."""
    queue = EncodingQueue(system.recommender.encode, on_error=_log_error, batch=API_BATCH, linger_s=API_LINGER_S)
    return _started(stack, queue)


def start_worker_encoding(stack: ExitStack, settings: Settings) -> EncodingQueue:
    """Encode the users that a worker changes in a process of its own, until the stack unwinds.

    Where vectors are not shared through the store, no other process could use them, and none are made.
    """
    if not settings.shares_vectors:
        return _started(stack, EncodingQueue(_encode_none, on_error=_log_error))
    encoder = EncoderProcess(settings, startup_delay_s=STARTUP_DELAY_S)
    stack.callback(encoder.stop)
    queue = _started(
        stack, EncodingQueue(encoder.encode, on_error=_log_error, batch=WORKER_BATCH, linger_s=WORKER_LINGER_S)
    )
    stack.callback(encoder.interrupt)  # called first when the stack unwinds: a worker that stops waits for no vectors
    return queue


def _started(stack: ExitStack, queue: EncodingQueue) -> EncodingQueue:
    queue.start()
    stack.callback(queue.stop)
    return queue


def _encode_none(states: Sequence[UserState]) -> int:
    return 0


def _log_error(error: Exception) -> None:
    logger.error("users could not be encoded ahead; they are encoded when read", exc_info=error)
