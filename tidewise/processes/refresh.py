"""The refresh of a process: the snapshot it answers from is renewed every second."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from core.background import BackgroundThread
from tidewise.bootstrap import System

logger = logging.getLogger(__name__)

REFRESH_S = 1.0  # how old popularity may be, and how soon another process's changes are noticed


def start_refresh(stack: ExitStack, system: System) -> BackgroundThread:
    """Read the catalogue and the champion now, and again every second or when woken, until the stack unwinds."""
    from model.training.threads import limit_threads

    limit_threads(1)  # requests run side by side; more threads each would only queue
    system.snapshots.refresh()
    if system.snapshots.problem:
        logger.error("the champion does not serve: %s", system.snapshots.problem)
    refresh = BackgroundThread("refresh", system.snapshots.refresh, period_s=REFRESH_S)
    refresh.start()
    stack.callback(refresh.stop)
    return refresh
