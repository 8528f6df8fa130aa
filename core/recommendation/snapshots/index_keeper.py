"""The index keeper: keeps an item index current while its catalogue changes, and compacts it in the background.

A reader uses the index that it took to its end; after a change or a compaction, the next reader gets another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread

from core.arrays import FloatArray, IntArray
from core.ports.index import ItemIndex

logger = logging.getLogger(__name__)
_building = Lock()

Queries = Callable[[], FloatArray | None]  # (M, D) users' vectors to tune and measure an index on; None: none known
RunInBackground = Callable[[Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class IndexChange:
    """(K,) ascending rows with new (K, D) vectors, and rows that are no longer indexed."""

    rows: IntArray
    vectors: FloatArray
    removed: IntArray

    def of(self, index: ItemIndex) -> ItemIndex:
        """The index with this change."""
        return index.changed(self.rows, self.vectors, removed=self.removed)


def in_thread(work: Callable[[], None]) -> None:
    """Run in a daemon thread, one at a time: a build takes a core, and a process that ends does not wait for it."""

    def run() -> None:
        with _building:
            work()

    Thread(target=run, name="index", daemon=True).start()


class IndexKeeper:
    """Holds the current index. Thread-safe."""

    def __init__(self, index: ItemIndex, *, queries: Queries, run: RunInBackground = in_thread) -> None:
        """`queries`: called in the background, before a compaction. `run`: runs a compaction in the background."""
        self._index = index
        self._queries = queries
        self._run = run
        self._lock = Lock()
        self._since: list[IndexChange] | None = None  # the changes since the compaction in progress began
        self._has_failed = False
        self._compact_if_needed()

    @property
    def index(self) -> ItemIndex:
        """The index of this moment."""
        return self._index

    def apply(self, change: IndexChange) -> None:
        """Change the index; searches in progress finish on the previous one."""
        with self._lock:
            self._index = change.of(self._index)
            if self._since is not None:
                self._since.append(change)
        self._compact_if_needed()

    def _compact_if_needed(self) -> None:
        with self._lock:
            if self._since is not None or self._has_failed or not self._index.needs_compaction:
                return
            self._since, old = [], self._index
        self._run(lambda: self._compact(old))

    def _compact(self, old: ItemIndex) -> None:
        """Build the same items anew, then apply what changed meanwhile; a failure leaves the old index serving."""
        try:
            compacted = old.compacted(self._queries())
        except Exception:  # whatever it is, the old index serves on
            logger.exception("the item index could not be compacted; searches stay as they are until a restart")
            with self._lock:
                self._since, self._has_failed = None, True
            return
        with self._lock:
            for change in self._since or ():
                compacted = change.of(compacted)
            self._index, self._since = compacted, None
        logger.info("item index of %d items compacted; recall %s", len(compacted), compacted.recall)
