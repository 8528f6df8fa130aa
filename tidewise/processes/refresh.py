"""The refresh of a process: items and definitions are followed within milliseconds, all else every second."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import Any

from core.background import BackgroundThread
from core.definitions.followed import FollowedDefinitions
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from tidewise.bootstrap import System
from tidewise.process_setup import keep_little_memory

logger = logging.getLogger(__name__)

REFRESH_S = 1.0  # how old popularity may be, and how soon another process's promotion is noticed
ITEMS_S = 0.05  # how soon another process's changes of items and definitions are noticed: four small queries
SAVE_CHECK_S = 5.0  # how soon a snapshot is saved for the next start, once its indexes are built


class SnapshotRefresh:
    """Renews the snapshots of a process on a thread of its own."""

    def __init__(self, snapshots: SnapshotManager, *definitions: FollowedDefinitions[Any]) -> None:
        self._snapshots = snapshots
        self._definitions = definitions
        self._due_s = 0.0  # of the next full refresh
        self._thread = BackgroundThread("refresh", self._renew, period_s=ITEMS_S)

    @property
    def age_s(self) -> float:
        """Seconds since the snapshot was last found or made current."""
        return self._thread.age_s

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def follow_items(self) -> None:
        """Read the items that changed now."""
        self._thread.wake()

    def follow_champion(self) -> None:
        """Refresh everything now."""
        self._due_s = 0.0
        self._thread.wake()

    def stop(self) -> None:
        """Let the refresh in progress finish and end."""
        self._thread.stop()

    def _renew(self) -> None:
        for definitions in self._definitions:
            definitions.follow()
        if time.monotonic() < self._due_s:
            self._snapshots.follow_items()
            return
        self._due_s = time.monotonic() + REFRESH_S
        self._snapshots.refresh()


def start_refresh(stack: ExitStack, system: System) -> SnapshotRefresh:
    """Read the catalogue and the champion now, and then follow their changes, until the stack unwinds."""
    from model.training.threads import limit_threads

    keep_little_memory()
    limit_threads(1)  # requests run side by side; more threads each would only queue
    system.scenarios.follow()
    system.experiments.follow()  # before the snapshot, which loads the models of their arms
    system.segments.follow()
    system.snapshots.refresh()
    if system.snapshots.problem:
        logger.error("the champion does not serve: %s", system.snapshots.problem)
    refresh = SnapshotRefresh(system.snapshots, system.scenarios, system.experiments, system.segments)
    refresh.start()
    stack.callback(refresh.stop)
    for name, save in (
        ("saved snapshots", system.snapshots.save_if_due),
        ("saved counts", system.snapshots.save_counts_if_due),
    ):
        saver = BackgroundThread(name, save, period_s=SAVE_CHECK_S)
        saver.start()
        stack.callback(saver.request_stop)
    return refresh
