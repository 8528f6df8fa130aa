"""Saved counts: transition counts on disk, from which a process starts instead of counting the whole log.

They hold the first so many transitions of each writer's log. The process that loads them counts what follows. They
fit if they were made from this database (`core.saved_snapshots.marks`), whose log was not rewritten since, by the same
rules and a program that stores the same. Else they are discarded, with a line in the log.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any

from core.ports.array_folders import ArrayFolders, DamagedArrays
from core.ports.store import ReadTransaction, Store
from core.saved_snapshots.marks import add_mark, has_mark
from core.transitions.counts import CountRules, TransitionCounts

logger = logging.getLogger(__name__)

LAYOUT = 1  # of the arrays; another number discards what was saved
COUNTS_MARKS = "saved_counts"
MIN_ROWS = 50_000  # new transitions: fewer are counted in a tenth of a second
NEW_SHARE = 0.1  # of the saved ones; with fewer new ones they stay
PERIOD_S = 900.0  # between two: a million transitions are about 60 MB
OTHER_DATABASE = "they were not made from this state of the database"


class OtherCounts(ValueError):
    """Saved counts are not those of this process; the message says what differs."""


class SavedCounts:
    """Reads and writes saved counts; the newest stay."""

    def __init__(self, folders: ArrayFolders, program: str, rules: CountRules, *, min_rows: int = MIN_ROWS) -> None:
        """`program`: what stores the arrays. `min_rows`: of new transitions, below which nothing is saved."""
        self._folders = folders
        self._rules = rules
        self._min_rows = min_rows
        self._about = {"layout": str(LAYOUT), "program": program, "rules": repr(rules)}

    def load(self, read: ReadTransaction) -> TransitionCounts | None:
        """The counts as of now, from those that were saved; None if none fit."""
        for name in self._folders.names():
            try:
                counts = self._counts(read, name)
            except (DamagedArrays, OtherCounts, KeyError) as error:
                logger.warning("the saved counts of %s transitions are discarded: %s", name, error)
                self._folders.delete(name)
            else:
                return counts
        return None

    def save_if_due(self, store: Store, num_rows: int) -> bool:
        """Save the counts if `num_rows`, which a process has counted, are many more than are saved; takes seconds."""
        if not self._is_due(num_rows):
            return False
        with self._folders.writing() as may_write:
            return may_write and self._is_due(num_rows) and self._save(store)

    def _is_due(self, num_rows: int) -> bool:
        names = self._folders.names()
        num_saved = int(names[0]) if names else 0
        is_old = not names or self._folders.age_s(names[0]) > PERIOD_S
        return is_old and num_rows - num_saved >= max(self._min_rows, NEW_SHARE * num_saved)

    def _save(self, store: Store) -> bool:
        begin_s = time.monotonic()
        with store.read() as read:
            counts = self.load(read)
            if counts is None:
                counts = TransitionCounts(self._rules)
                counts.apply(read.transitions.since({}))
        name, mark = str(sum(counts.num_rows.values())), secrets.token_hex(8)
        arrays = counts.arrays()
        with store.transaction() as tx:
            add_mark(tx, COUNTS_MARKS, mark)
            if tx.transitions.since(counts.position).restarted:
                return False  # rewritten meanwhile
            tx.commit()
        self._folders.save(name, arrays, self._about | {"mark": mark})
        for other in self._folders.names():
            if other != name:
                self._folders.delete(other)
        logger.info("counts of %s transitions saved in %.1f s", name, time.monotonic() - begin_s)
        return True

    def _counts(self, read: ReadTransaction, name: str) -> TransitionCounts:
        """Raises `DamagedArrays` and `OtherCounts`."""
        arrays, about = self._folders.load(name)
        self._check(read, about)
        counts = TransitionCounts.of_arrays(self._rules, arrays)
        changes = read.transitions.after(counts.num_rows)
        if changes.restarted:
            raise OtherCounts(OTHER_DATABASE)
        counts.apply(changes)
        return counts

    def _check(self, read: ReadTransaction, about: Any) -> None:
        for key, wanted in self._about.items():
            if about[key] != wanted:
                msg = f"wanted {key} {wanted}, got {about[key]}"
                raise OtherCounts(msg)
        if not has_mark(read, COUNTS_MARKS, about["mark"]):
            raise OtherCounts(OTHER_DATABASE)
