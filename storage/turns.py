"""Turns: processes that write to one SQLite file wait for each other in order.

SQLite's own wait tries again after pauses that grow to a tenth of a second, so that a process which always has the next
transaction ready hardly ever lets another one in. Here a writer first takes the place that is next in line, and then
the turn: whoever has had the turn finds that place taken and waits behind. An import, whose turns are long while nobody
waits, says so by a third lock, and is waited for longer. Imports first wait for each other, by a fourth lock: whoever
else writes waits for one of them at a time, however many there are. The locks are those of open file descriptions
(fcntl(2), Linux), which end with their process.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from core.errors import StoreUnavailable

NEXT, TURN, LONG, IMPORTS = 0, 1, 2, 3  # locked bytes of the file
PAUSE_S = 0.0003  # between two attempts; a commit takes milliseconds
IMPORT_PAUSE_S = 0.02  # of an import that is next: whoever has waited for longer than `LINE_S` comes before it
LONG_TIMEOUT_S = 40.0  # of a turn that is announced as a long one
IMPORTS_TIMEOUT_S = 600.0  # of an import, for others
LINE_S = 1.0  # whoever is next in line for longer, such as a suspended process, is passed


class WriterTurns:
    """The turns of this process's threads on one file, which is made at the first turn."""

    def __init__(self, path: Path, *, timeout_s: float, are_long: bool = False) -> None:
        """`are_long`: others wait up to `LONG_TIMEOUT_S` for a turn of this process."""
        self._path = path
        self._timeout_s = timeout_s
        self._are_long = are_long
        self._pause_s = IMPORT_PAUSE_S if are_long else PAUSE_S
        self._threads = threading.Lock()
        self._file: int | None = None
        self.others_wait = False  # whether another process stood next in line when the newest turn ended
        self.held_s = 0.0  # how long that turn was

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else has a turn while the block runs; raises `StoreUnavailable` after the timeout."""
        begin_s = time.monotonic()
        self._wait(begin_s, self._thread_taken)
        try:
            file = self._opened()
            if self._are_long:
                self._wait_for_imports(file)
                begin_s = time.monotonic()
            is_next = _taken(file, NEXT, min(begin_s + self._timeout_s, time.monotonic() + LINE_S))
            try:
                self._wait(begin_s, partial(_taken, file, TURN, pause_s=self._pause_s))
            finally:
                if is_next:
                    _lock(file, NEXT, fcntl.F_UNLCK)
            if self._are_long:
                _lock(file, LONG, fcntl.F_WRLCK)
            taken_s = time.monotonic()
            try:
                yield
            finally:
                self.held_s = time.monotonic() - taken_s
                self.others_wait = _is_locked(file, NEXT)
                _lock(file, LONG, fcntl.F_UNLCK)
                _lock(file, TURN, fcntl.F_UNLCK)
        finally:
            if self._are_long and self._file is not None:
                _lock(self._file, IMPORTS, fcntl.F_UNLCK)
            self._threads.release()

    def _wait_for_imports(self, file: int) -> None:
        """Return when no other import writes or waits for its turn; raises `StoreUnavailable`."""
        if not _taken(file, IMPORTS, time.monotonic() + IMPORTS_TIMEOUT_S):
            msg = f"{self._path}: other imports have been writing for {IMPORTS_TIMEOUT_S:g} s; run it again after them"
            raise StoreUnavailable(msg)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            except OSError as error:
                msg = f"{self._path}: cannot be written ({error.strerror}); make the folder of the database writable"
                raise StoreUnavailable(msg) from error
        return self._file

    def _wait(self, begin_s: float, taken: Callable[[float], bool]) -> None:
        """Return when `taken` has succeeded by its deadline (monotonic), which is later while another's turn is long.

        Raises `StoreUnavailable`.
        """
        timeout_s = self._timeout_s
        if taken(begin_s + timeout_s):
            return
        if self._file is not None and _is_locked(self._file, LONG):
            timeout_s = max(timeout_s, LONG_TIMEOUT_S)
            if taken(begin_s + timeout_s):
                return
        msg = f"{self._path}: another process has been writing for {timeout_s:g} s; retry, or end that process"
        raise StoreUnavailable(msg)

    def _thread_taken(self, deadline_s: float) -> bool:
        return self._threads.acquire(timeout=max(0, deadline_s - time.monotonic()))


def _taken(file: int, byte: int, deadline_s: float, *, pause_s: float = PAUSE_S) -> bool:
    """Take the lock of a byte; whether that succeeded before the deadline (monotonic). `pause_s`: between attempts."""
    while True:
        try:
            _lock(file, byte, fcntl.F_WRLCK)
        except OSError as error:
            if not isinstance(error, BlockingIOError | PermissionError):  # EAGAIN or EACCES: another process has it
                raise
        else:
            return True
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(pause_s)


def _is_locked(file: int, byte: int) -> bool:
    """Whether another process has the lock of a byte, or another open file of this one."""
    found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _struct_flock(fcntl.F_WRLCK, byte))
    kind: int = struct.unpack_from("@h", found)[0]
    return kind != fcntl.F_UNLCK


def _lock(file: int, byte: int, kind: int) -> None:
    """Take or give back the lock of one byte, without waiting."""
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _struct_flock(kind, byte))


def _struct_flock(kind: int, byte: int) -> bytes:
    """C's `struct flock` of one byte of a file."""
    return struct.pack("@hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
