"""Saved counts: transition counts on disk, from which a process starts instead of counting the whole log.

They hold the first so many transitions of each writer's log. The process that loads them counts what follows. They
fit if they were made from this database, by the same rules and a program that stores the same. Else they are discarded,
with a line in the log.

The database has two marks of them (`core.saved_snapshots.marks`): one was added before the log was read, one after it.
A restored database that has the second holds all that they count; `rebuild`, which rewrites the log, removes both.
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from core.ports.array_folders import ArrayFolders, DamagedArrays
from core.ports.store import ReadTransaction, Store
from core.saved_snapshots.marks import add_mark, has_mark
from core.saved_snapshots.newest import Misfit, check_about, save_newest
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.transition import TransitionChanges

logger = logging.getLogger(__name__)

LAYOUT = 2  # of the arrays; another number discards what was saved
COUNTS_MARKS = "saved_counts"
MIN_ROWS = 50_000  # new transitions: fewer are counted in a tenth of a second
NEW_SHARE = 0.05  # of the saved ones; with fewer new ones they stay
PERIOD_S = 900.0  # between two: a million transitions are 27 MB and more
YOUNG_S = 60.0  # counts that another process may have saved after the read transaction of this one began
OTHER_DATABASE = "they were not made from this state of the database"


class LoadedCounts(NamedTuple):
    """Saved counts, and what was logged since: to be applied to them once no read transaction waits."""

    counts: TransitionCounts
    new: TransitionChanges


class SavedCounts:
    """Reads and writes saved counts; the newest stay."""

    def __init__(self, folders: ArrayFolders, program: str, rules: CountRules, *, min_rows: int = MIN_ROWS) -> None:
        """`program`: what stores the arrays. `min_rows`: of new transitions, below which nothing is saved."""
        self._folders = folders
        self._rules = rules
        self._min_rows = min_rows
        self._about = {"layout": str(LAYOUT), "program": program, "rules": repr(rules)}

    def load(self, read: ReadTransaction) -> LoadedCounts | None:
        """The newest ones that fit."""
        for name in self._names():
            is_young = self._folders.age_s(name) < YOUNG_S
            try:
                return self._loaded(read, name)
            except (DamagedArrays, Misfit, KeyError) as error:
                logger.warning("the saved counts of %s transitions are not used: %s", name, error)
                if not is_young:
                    self._folders.delete(name)
        return None

    def save_if_due(self, store: Store, num_rows: int) -> bool:
        """Save the counts if `num_rows`, which a process has counted, are many more than are saved; takes seconds."""
        if not self._is_due(num_rows):
            return False
        with self._folders.writing() as may_write:
            return may_write and self._is_due(num_rows) and self._save(store)

    def _names(self) -> list[str]:
        return [name for name in self._folders.names() if name.isdecimal()]

    def _is_due(self, num_rows: int) -> bool:
        names = self._names()
        num_saved = int(names[0]) if names else 0
        is_old = not names or self._folders.age_s(names[0]) > PERIOD_S
        return is_old and num_rows - num_saved >= max(self._min_rows, NEW_SHARE * num_saved)

    def _save(self, store: Store) -> bool:
        begin_s = time.monotonic()
        with store.transaction() as tx:
            before = add_mark(tx, COUNTS_MARKS)
            tx.commit()
        with store.read() as read:
            counts, new = self.load(read) or (TransitionCounts(self._rules), read.transitions.since({}))
        counts.apply(new)
        if not counts.num_rows:
            return False
        with store.transaction() as tx:
            after = add_mark(tx, COUNTS_MARKS)
            if not has_mark(tx, COUNTS_MARKS, before):
                return False  # the log was rewritten meanwhile
            tx.commit()
        name = str(sum(counts.num_rows.values()))
        save_newest(self._folders, name, counts.arrays(), self._about | {"marks": f"{before} {after}"})
        logger.info("counts of %s transitions saved in %.1f s", name, time.monotonic() - begin_s)
        return True

    def _loaded(self, read: ReadTransaction, name: str) -> LoadedCounts:
        """Raises `DamagedArrays` and `Misfit`."""
        arrays, about = self._folders.load(name)
        check_about(about, self._about)
        if not all(has_mark(read, COUNTS_MARKS, mark) for mark in about["marks"].split()):
            raise Misfit(OTHER_DATABASE)
        counts = TransitionCounts.of_arrays(self._rules, arrays)
        new = read.transitions.after(counts.num_rows)
        if new.restarted:
            raise Misfit(OTHER_DATABASE)
        return LoadedCounts(counts, new)
