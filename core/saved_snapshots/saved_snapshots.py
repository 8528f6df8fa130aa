"""Saved snapshots: what a process starts from instead of reading all items, encoding them and building the index.

One holds the catalogue at a revision, the item vectors of a model version, and the indexes. The process that loads it
follows the changes since that revision. A saved snapshot fits if it was made

- from this database (`core.saved_snapshots.marks`), in which the revisions up to the saved one are then the same,
- for the model version that serves,
- by a program that stores and computes the same: version, libraries, kind of machine.

Else it is discarded, with a line in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.catalogue.items import Catalogue
from core.ports.array_folders import ArrayFolders, Arrays, DamagedArrays
from core.ports.index import IndexReader
from core.ports.store import ReadTransaction, Store
from core.saved_snapshots.catalogue_arrays import arrays_of, catalogue_of
from core.saved_snapshots.marks import add_mark, has_mark
from core.saved_snapshots.newest import Misfit, check_about, save_newest

logger = logging.getLogger(__name__)

LAYOUT = 2  # of the arrays; another number discards what was saved
MARKS = "saved_snapshots"
MIN_ITEMS = 1_000  # below, encoding all of them at a start takes a moment
PERIOD_S = 900.0  # between two of the same model version: each writes 1.5 GB for a million items
CHANGED_SHARE = 0.02  # of the items; after fewer revisions a saved snapshot stays, however old
SPARE_KEYS = 1024  # below the highest: PostgreSQL may commit an item after one with a higher key


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """A catalogue, and the arrays of the model that is bound to it."""

    catalogue: Catalogue
    model: Arrays


@dataclass(frozen=True, slots=True)
class Identity:
    """What a saved snapshot was made for, beside the model version: it serves no other."""

    program: str
    include_uncatalogued: bool

    def about(self, version: str) -> dict[str, Any]:
        """As it is stored."""
        return {
            "layout": LAYOUT,
            "model": version,
            "program": self.program,
            "include_uncatalogued": self.include_uncatalogued,
        }


class SavedSnapshots:
    """Reads and writes saved snapshots; the newest one of a model version stays."""

    def __init__(
        self, folders: ArrayFolders, identity: Identity, read_index: IndexReader, *, min_items: int = MIN_ITEMS
    ) -> None:
        """`min_items`: smaller catalogues are not saved."""
        self._min_items = min_items
        self.read_index = read_index
        self._folders = folders
        self._identity = identity

    def revision_of(self, version: str) -> int | None:
        """The catalogue revision of the newest one of a model version; None if there is none."""
        revisions = [_revision(name, version) for name in self._folders.names()]
        return max((revision for revision in revisions if revision >= 0), default=None)

    def is_due(self, version: str, catalogue: Catalogue) -> bool:
        """Whether a start from the saved one would have much to read, or there is none."""
        if len(catalogue) < self._min_items:
            return False
        saved = self.revision_of(version)
        if saved is None:
            return True
        is_old = self._folders.age_s(_name(version, saved)) > PERIOD_S
        return is_old and catalogue.revision - saved > len(catalogue) * CHANGED_SHARE

    def load(self, read: ReadTransaction, version: str) -> SavedSnapshot | None:
        """The newest one of a model version, if it fits."""
        revision = self.revision_of(version)
        if revision is None:
            return None
        name = _name(version, revision)
        try:
            arrays, about = self._folders.load(name)
            self._check(read, version, revision, about)
            return _unpacked(arrays, revision)
        except (DamagedArrays, Misfit, KeyError) as error:
            logger.warning("the saved snapshot %s is discarded: %s; the process starts from the database", name, error)
            self._folders.delete(name)
        return None

    def save(self, store: Store, version: str, catalogue: Catalogue, model: Arrays) -> bool:
        """Write one and delete all others; False where another process is writing."""
        with self._folders.writing() as may_write:
            if not may_write:
                return False
            begin_s = time.monotonic()
            with store.transaction() as tx:
                mark = add_mark(tx, MARKS)
                tx.commit()
            name = _name(version, catalogue.revision)
            arrays = {f"catalogue_{key}": array for key, array in arrays_of(catalogue).items()}
            arrays |= {f"model_{key}": array for key, array in model.items()}
            save_newest(self._folders, name, arrays, self._identity.about(version) | {"mark": mark})
        logger.info("snapshot of %d items saved in %.1f s", len(catalogue), time.monotonic() - begin_s)
        return True

    def _check(self, read: ReadTransaction, version: str, revision: int, about: Mapping[str, Any]) -> None:
        """Raises `Misfit` where it does not fit."""
        check_about(about, self._identity.about(version))
        if not has_mark(read, MARKS, about["mark"]) or revision > read.items.revision():
            raise Misfit("it was not made from this state of the database")


def _unpacked(arrays: Arrays, revision: int) -> SavedSnapshot:
    parts: dict[str, dict[str, Any]] = {"catalogue": {}, "model": {}}
    for name, array in arrays.items():
        part, _, key = name.partition("_")
        parts[part][key] = array
    return SavedSnapshot(catalogue_of(parts["catalogue"], revision), parts["model"])


def _name(version: str, revision: int) -> str:
    return f"{version}@{revision}"


def _revision(name: str, version: str) -> int:
    """The revision in a name; -1 if it is of another version."""
    own, _, revision = name.rpartition("@")
    return int(revision) if own == version and revision.isdecimal() else -1
