"""Shared checks: of several processes that start together, one reads each file and compares it with its checksum.

It notes that the file is sound, under all that says which file it is and that nobody has written to it since. Each
process reads first what no other one is reading, so that they share the work. Implements `core.ports.file_checks`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.ports.file_checks import OWN_CHECKS, Checksum, check_one

FRESH_S = 600.0  # a process that starts later reads the files again, and so finds what the disk has lost since


@dataclass(frozen=True, slots=True)
class SharedChecks:
    """`folder`: of the notes, on this machine; only processes that may say what is sound can write to it."""

    folder: Path

    def check(self, wanted: Mapping[Path, str], checksum: Checksum) -> None:
        """Raises `WrongChecksum`, or `OSError` for a missing file."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            OWN_CHECKS.check(wanted, checksum)
            return
        later = [path for path in wanted if not self._is_checked(path, wanted[path], checksum, waits=False)]
        for path in later:
            self._is_checked(path, wanted[path], checksum, waits=True)

    def _is_checked(self, path: Path, wanted: str, checksum: Checksum, *, waits: bool) -> bool:
        """Whether the file is sound; False where another process is reading it. `waits`: until it has."""
        try:
            note = os.open(self.folder / _identity(path, wanted), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:
            if not path.exists():
                raise
            check_one(path, wanted, checksum)
            return True
        try:
            fcntl.flock(note, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            if not _says_sound(note):
                check_one(path, wanted, checksum)
                os.ftruncate(note, 1)  # needs no room on the disk
                os.utime(note)
        except BlockingIOError:
            return False
        finally:
            os.close(note)
        return True


def _identity(path: Path, wanted: str) -> str:
    now = path.stat()
    what = (str(path), wanted, now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    return hashlib.blake2b(repr(what).encode(), digest_size=16).hexdigest()


def _says_sound(note: int) -> bool:
    """Whether an open note was written a moment ago; an empty one belongs to a check that did not end."""
    state = os.fstat(note)
    return state.st_size > 0 and abs(time.time() - state.st_mtime) < FRESH_S
