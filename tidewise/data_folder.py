"""The data folder: created if missing, and locked by one `tidewise up` at a time.

A second one would train the same model again and answer on another port.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import InvalidSettings

LOCK_NAME = "up.lock"


def make_folder(folder: Path) -> None:
    """Create the folder if it is missing, for its owner alone; raises `InvalidSettings` where it cannot be created."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold personal data
    except OSError as error:
        raise _unusable(folder, error) from error


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Lock the folder until the end of the block; the kernel unlocks it when the process dies.

    Raises `InvalidSettings` where another process holds the lock, or where the folder is not writable.
    """
    make_folder(folder)
    try:
        # It is overwritten, so it must not be a symbolic link to something else.
        file = os.fdopen(os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "a+")
    except OSError as error:
        raise _unusable(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            msg = f"{folder} is in use by another `tidewise up` (process {holder}); stop it or choose another --data"
            raise InvalidSettings(msg) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _unusable(folder: Path, error: OSError) -> InvalidSettings:
    reason = error.strerror or str(error)
    msg = (
        f"data.folder: wanted a folder to write to, got {folder} ({reason}); "
        "check its owner and mode, or choose another --data"
    )
    return InvalidSettings(msg)
