"""The running process: its name, the signals that end it, and the command line of its children."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import sys
from threading import Event

PR_SET_PDEATHSIG = 1  # of prctl(2)


def own_command(*arguments: str) -> list[str]:
    """The command line of `tidewise ARGUMENTS` with this interpreter.

    `-P`: otherwise a `model.py` or a folder `core` in the working directory would be imported instead of ours.
    """
    return [sys.executable, "-P", "-m", "tidewise", *arguments]


def name_of_process() -> str:
    """A name that no other process has, on any machine at any time; it begins with the host, for people."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def shutdown_requested() -> Event:
    """An event that SIGINT and SIGTERM set from now on; to be called in the main thread."""
    asked = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    return asked


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, however it dies. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
