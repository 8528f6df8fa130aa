"""Current items: what is true of items at the moment of a request.

While no item has changed since the snapshot was built, nothing is read. Otherwise the items of the answer that have
changed are read from the store, so that hiding, removing or renaming an item takes effect in the next answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.arrays import BoolArray, IntArray
from core.catalogue.items import Catalogue, ItemName
from core.ports.store import ReadTransaction
from core.records.stored import StoredItem


@dataclass(frozen=True, slots=True)
class CurrentItems:
    """Items of a catalogue at an item revision, which was read after the catalogue was pinned."""

    read: ReadTransaction
    catalogue: Catalogue
    revision: int
    include_uncatalogued: bool
    now_ms: int
    _changed: dict[int, StoredItem | None] = field(default_factory=dict)  # by key, of those that were read

    def listed(self, rows: IntArray) -> BoolArray:
        """(n,) whether each of these rows, which the catalogue lists now, can still be recommended."""
        if self._is_unchanged:
            return np.ones(len(rows), np.bool_)
        keys = self.catalogue.keys[rows].tolist()
        self._read(keys)
        return np.array([self._is_listed(self._changed[key]) for key in keys], np.bool_)

    def name(self, row: int) -> ItemName:
        """The name of an item of the catalogue."""
        if not self._is_unchanged:
            key = int(self.catalogue.keys[row])
            self._read([key])
            changed = self._changed[key]
            if changed is not None:
                return ItemName(changed.item.item_id, changed.item.title, changed.item.categories)
        return self.catalogue.name_of(row)

    def names(self, keys: Sequence[int]) -> Mapping[int, ItemName]:
        """The names of the items that the catalogue holds, by key."""
        rows = self.catalogue.rows(np.asarray(keys, np.int64)).tolist()
        held = {key: row for key, row in zip(keys, rows, strict=True) if row >= 0}
        if not self._is_unchanged:
            self._read(list(held))
        return {key: self.name(row) for key, row in held.items()}

    @property
    def _is_unchanged(self) -> bool:
        return self.revision == self.catalogue.revision

    def _is_listed(self, changed: StoredItem | None) -> bool:
        return changed is None or self._exclusion(changed) is None

    def exclusions(self, item_ids: Sequence[str]) -> Mapping[str, str | None]:
        """Why each of these items cannot be recommended to anybody; None if it can."""
        stored = self.read.items.by_id(item_ids) if item_ids else {}
        return {item_id: self._exclusion(stored.get(item_id)) for item_id in item_ids}

    def _exclusion(self, stored: StoredItem | None) -> str | None:
        if stored is None:
            return "unknown"
        never = stored.exclusion(include_uncatalogued=self.include_uncatalogued)
        return never or stored.item.availability.problem(self.now_ms)

    def _read(self, keys: Sequence[int]) -> None:
        """Read which of these items changed after the catalogue was made."""
        unread = [key for key in keys if key not in self._changed]
        if unread:
            self._changed.update(dict.fromkeys(unread))
            self._changed.update(self.read.items.changed(unread, revision=self.catalogue.revision))
