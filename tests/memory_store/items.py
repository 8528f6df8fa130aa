"""Items of a store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.arrays import IntArray
from core.catalogue.availability import limits_of
from core.catalogue.items import Catalogue, Item
from core.records.stored import StoredItem
from memory_store.data import MemoryRepository
from memory_store.drift import MemoryDrift


class MemoryItems(MemoryRepository):
    """`core.ports.items.ItemRepository`."""

    def by_key(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        requested = set(keys)
        return {stored.key: stored for stored in self.data.items.values() if stored.key in requested}

    def changed(self, keys: Sequence[int], *, revision: int) -> dict[int, StoredItem]:
        return {key: stored for key, stored in self.by_key(keys).items() if stored.revision > revision}

    def by_id(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        return {item_id: self.data.items[item_id] for item_id in item_ids if item_id in self.data.items}

    def page(self, *, after: str = "", limit: int = 100) -> list[StoredItem]:
        ids = sorted(i for i, stored in self.data.items.items() if stored.in_catalogue and i.encode() > after.encode())
        return [self.data.items[item_id] for item_id in ids[:limit]]

    def catalogue(self, *, include_uncatalogued: bool = False) -> Catalogue:
        return self.changes(revision=-1, newest_key=0, include_uncatalogued=include_uncatalogued)

    def changes(self, *, revision: int, newest_key: int, include_uncatalogued: bool = False) -> Catalogue:
        changed = (item for item in self.data.items.values() if item.revision > revision or item.key > newest_key)
        rows = sorted(changed, key=lambda stored: stored.key)
        return Catalogue(
            np.array([stored.key for stored in rows], np.int64),
            tuple(stored.item.item_id for stored in rows),
            tuple(f"{stored.item.title}\n{stored.item.text}".strip() for stored in rows),
            tuple(stored.item.categories for stored in rows),
            np.array([stored.listed(include_uncatalogued=include_uncatalogued) for stored in rows], np.bool_),
            self.data.revision,
            np.array([self.data.drift.created_ms.get(stored.key) or 0 for stored in rows], np.int64),
            tuple(stored.item.attributes for stored in rows),
            tuple(stored.item.title for stored in rows),
            np.array([self.data.content_revisions.get(stored.key, 0) for stored in rows], np.int64),
            limits_of([stored.item.availability[:2] for stored in rows]),
        )

    def revision(self) -> int:
        return self.data.revision

    def keys_above(self, key: int) -> IntArray:
        return np.array(sorted(stored.key for stored in self.data.items.values() if stored.key > key), np.int64)

    def newest_key(self) -> int:
        return max((stored.key for stored in self.data.items.values()), default=0)

    def resolve(self, item_ids: Sequence[str], *, now_ms: int | None = None) -> dict[str, int]:
        for item_id in sorted(set(item_ids)):
            if item_id not in self.data.items:
                self.data.items[item_id] = StoredItem(self.data.next_key(), Item(item_id), False, 0, 0)
                self.data.drift.created_ms[self.data.last_key] = now_ms
        return {item_id: self.data.items[item_id].key for item_id in item_ids}

    def save(self, items: Sequence[Item], *, now_ms: int) -> int:
        if items:
            self.data.revision += 1
        codes = MemoryDrift(self.data).name_topics([item.categories[0] for item in items if item.categories])
        for item in items:
            known = self.data.items.get(item.item_id)
            key = known.key if known else self.data.next_key()
            if known is None or _content(known.item) != _content(item):
                self.data.content_revisions[key] = self.data.revision
            self.data.items[item.item_id] = StoredItem(key, item, True, self.data.revision, now_ms)
            self.data.drift.created_ms.setdefault(key, now_ms)
            self.data.drift.topic_of[key] = codes[item.categories[0]] if item.categories else 0
        return self.data.revision

    def lock_revision(self) -> None:
        """Transactions run one after the other anyway."""

    def touch(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        known = [self.data.items[item_id] for item_id in set(item_ids) if item_id in self.data.items]
        if known:
            self.data.revision += 1
        for stored in known:
            touched = replace(stored, revision=self.data.revision, updated_ms=now_ms)
            self.data.content_revisions[stored.key] = self.data.revision
            self.data.items[stored.item.item_id] = touched
        return self.data.revision

    def remove(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        known = [self.data.items[item_id] for item_id in set(item_ids) if item_id in self.data.items]
        listed = [stored for stored in known if stored.in_catalogue]
        if listed:
            self.data.revision += 1
        for stored in listed:
            item = replace(stored.item, hidden=True)
            gone = StoredItem(stored.key, item, False, self.data.revision, now_ms)
            self.data.items[item.item_id] = gone
        return len(listed)


def _content(item: Item) -> tuple[object, ...]:
    return item.title, item.text, item.categories
