"""A rate limit as a token bucket: a second's requests may come at once, more have to wait.

The processes of one server share a bucket: a file with one number, the time at which the bucket is full again.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from math import ceil
from pathlib import Path

NUM_BYTES = 8
MOST_TRIES = 100  # for the lock, each less than a microsecond: a process that is suspended with it must not stop others


class TokenBucket:
    """Allows `max_per_s` requests per second on average. Used by the thread of the event loop only."""

    def __init__(self, max_per_s: float, *, now_s: Callable[[], float], path: Path | None = None) -> None:
        """`max_per_s` > 0. `now_s`: a monotonic clock in seconds, the same in all processes that share the file `path`.

        Raises `OSError` where the file cannot be made.
        """
        self._token_ns = ceil(1e9 / max_per_s)
        self._empty_ns = int(max(1.0, max_per_s) * self._token_ns)  # until an empty bucket is full
        self._now_s = now_s
        self._file = None if path is None else _opened(path)
        memory = bytearray(NUM_BYTES) if self._file is None else mmap.mmap(self._file, NUM_BYTES)
        self._full_ns = memoryview(memory).cast("q")
        if self._file is not None:
            weakref.finalize(self, os.close, self._file)

    def take(self) -> float:
        """Take a token: 0 if there was one, else the seconds until there will be."""
        with self._locked():
            now_ns = round(self._now_s() * 1e9)
            full_ns = max(self._full_ns[0], now_ns) + self._token_ns
            wait_ns = full_ns - now_ns - self._empty_ns
            if wait_ns > 0:
                return wait_ns / 1e9
            self._full_ns[0] = full_ns
            return 0.0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes; in rare cases not, which may allow a request too many."""
        if self._file is None:
            yield
            return
        for _ in range(MOST_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                os.sched_yield()
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def shared_path(folder: Path, name: str, max_per_s: float) -> Path:
    """The file of a key's bucket in the folder that the processes of a server share."""
    return folder / sha256(f"{max_per_s!r} {name}".encode()).hexdigest()


def _opened(path: Path) -> int:
    """A new file is a full bucket."""
    path.parent.mkdir(exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.ftruncate(file, NUM_BYTES)
    return file
