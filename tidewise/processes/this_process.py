"""The process that runs: its name among others, and what ends it. Knows nothing about what it does."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import sys
from threading import Event

PR_SET_PDEATHSIG = 1  # of prctl(2)


def name_of_process() -> str:
    """Unlike that of any other process, on whatever machine, at whatever time; for people it begins with the host."""
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
