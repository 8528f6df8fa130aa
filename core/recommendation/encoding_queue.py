"""Follow: encode users after their events are committed, so that ingest never waits for the model.

Dirty users coalesce: however many events a user had since the last round, they are encoded once. A reader who comes
first encodes the user itself, so following is a matter of speed, never of truth. Where ingest is behind, following
rests as long as it works: it uses the same database and the same memory, and states come before vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from core.background import BackgroundThread
from core.records import UserState

LONGEST_REST_S = 0.1  # a round of a worker takes about that; the first one seconds, while the encoder starts
BATCH = 64  # a compromise: larger batches encode more users per second, smaller ones let requests in between


class EncodingQueue:
    """A thread that encodes dirty users in batches. `encode` is `Recommender.encode`."""

    def __init__(
        self,
        encode: Callable[[Sequence[UserState]], int],
        *,
        on_error: Callable[[Exception], None],
        max_dirty: int = 100_000,
        batch: int = BATCH,
        linger_s: float = 0.0,
        longest_rest_s: float = LONGEST_REST_S,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`linger_s`: how long a round waits for a full batch: small ones cost most, and readers may be faster."""
        self._encode = encode
        self._max_dirty = max_dirty
        self._batch = batch
        self._linger_s = linger_s
        self._seconds = seconds
        self._longest_rest_s = longest_rest_s
        self._dirty: dict[int, UserState] = {}
        self._behind = False
        self._thread = BackgroundThread(
            "encoding queue", self._encode_batch, ready=lambda: bool(self._dirty), on_error=on_error
        )
        self.num_encoded = 0

    @property
    def num_dirty(self) -> int:
        """How many users are behind their events."""
        return len(self._dirty)

    def submit(self, states: Iterable[UserState], *, behind: bool = False) -> None:
        """Mark users as dirty; beyond `max_dirty` they are left to their readers. `behind`: more events wait."""
        with self._thread.condition:
            self._behind = behind
            for state in states:
                if len(self._dirty) < self._max_dirty or state.key in self._dirty:
                    self._dirty[state.key] = state
            self._thread.condition.notify_all()

    def start(self) -> None:
        """Start to encode."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in progress and end."""
        self._thread.stop()

    def wait_idle(self, *, timeout_s: float) -> bool:
        """Wait until nobody is dirty; False on timeout."""
        with self._thread.condition:
            return self._thread.condition.wait_for(lambda: not self._dirty, timeout=timeout_s)

    def _encode_batch(self) -> None:
        self._thread.pause(self._linger_s, until=lambda: len(self._dirty) >= self._batch)
        with self._thread.condition:
            if not self._thread.is_running:
                return
            batch = list(islice(self._dirty.values(), self._batch))
        began_s = self._seconds()
        try:
            self.num_encoded += self._encode(batch)
        finally:  # users of a failed batch are encoded when read
            with self._thread.condition:
                for state in batch:
                    if self._dirty.get(state.key) is state:
                        del self._dirty[state.key]
                self._thread.condition.notify_all()
            rest_s = min(self._seconds() - began_s, self._longest_rest_s)
            self._thread.pause(rest_s, until=lambda: not self._behind)
