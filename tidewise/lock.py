"""One `tidewise up` per data folder: a second one would train twice and answer on another port by surprise."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import InvalidSettings

LOCK_NAME = "up.lock"


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the folder until the end of the block; the kernel lets go by itself when the process dies.

    Raises `InvalidSettings` where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a+") as file:
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
