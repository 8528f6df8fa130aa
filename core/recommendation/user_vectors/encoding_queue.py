"""The encoding queue: encodes users after their events are committed, so that ingest does not wait for the model.

A user with several events in the queue is encoded once. A request that comes first encodes the user itself, so that
the queue affects latency only. While ingest lags, the queue pauses after each batch for as long as the batch took,
because both share the database and the memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from core.background import BackgroundThread
from core.records.stored import UserState

MAX_PAUSE_S = 0.1  # about a worker's round
BATCH = 64  # larger batches encode more users per second, smaller ones delay requests less


class EncodingQueue:
    """A thread that encodes queued users in batches. `encode` is `Recommender.encode`."""

    def __init__(
        self,
        encode: Callable[[Sequence[UserState]], int],
        *,
        on_error: Callable[[Exception], None],
        max_queued: int = 100_000,
        batch: int = BATCH,
        linger_s: float = 0.0,
        max_pause_s: float = MAX_PAUSE_S,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`linger_s`: how long to wait for a full batch; small batches cost most per user."""
        self._encode = encode
        self._max_queued = max_queued
        self._batch = batch
        self._linger_s = linger_s
        self._seconds = seconds
        self._max_pause_s = max_pause_s
        self._queued: dict[int, UserState] = {}
        self._behind = False
        self._thread = BackgroundThread(
            "encoding queue", self._encode_batch, ready=lambda: bool(self._queued), on_error=on_error
        )
        self.num_encoded = 0

    @property
    def num_queued(self) -> int:
        """How many users wait to be encoded."""
        return len(self._queued)

    def submit(self, states: Iterable[UserState], *, behind: bool = False) -> None:
        """Queue users; beyond `max_queued` they are encoded at their next request. `behind`: ingest lags."""
        with self._thread.condition:
            self._behind = behind
            for state in states:
                if len(self._queued) < self._max_queued or state.key in self._queued:
                    self._queued[state.key] = state
            self._thread.condition.notify_all()

    def start(self) -> None:
        """Start to encode."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in progress and end."""
        self._thread.stop()

    def wait_idle(self, *, timeout_s: float) -> bool:
        """Wait until the queue is empty; False on timeout."""
        with self._thread.condition:
            return self._thread.condition.wait_for(lambda: not self._queued, timeout=timeout_s)

    def _encode_batch(self) -> None:
        self._thread.pause(self._linger_s, until=lambda: len(self._queued) >= self._batch)
        with self._thread.condition:
            if not self._thread.is_running:
                return
            batch = list(islice(self._queued.values(), self._batch))
        started_s = self._seconds()
        try:
            self.num_encoded += self._encode(batch)
        finally:  # users of a failed batch are encoded when read
            with self._thread.condition:
                for state in batch:
                    if self._queued.get(state.key) is state:
                        del self._queued[state.key]
                self._thread.condition.notify_all()
            pause_s = min(self._seconds() - started_s, self._max_pause_s)
            self._thread.pause(pause_s, until=lambda: not self._behind)
