"""The repository of items: the catalogue, and items known from events only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.arrays import IntArray
from core.catalogue.items import Catalogue, Item
from core.records.stored import StoredItem


class ItemReader(Protocol):
    """Reads items. Events of an unknown item create an uncatalogued item."""

    def by_key(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        """Items by integer key."""
        ...

    def changed(self, keys: Sequence[int], *, revision: int) -> dict[int, StoredItem]:
        """Those of these items that changed after a revision, by integer key."""
        ...

    def by_id(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id, uncatalogued ones included."""
        ...

    def page(self, *, after: str = "", limit: int = 100) -> list[StoredItem]:
        """Catalogue items in ascending id after `after`."""
        ...

    def catalogue(self, *, include_uncatalogued: bool = False) -> Catalogue:
        """All items in columns; `include_uncatalogued`: uncatalogued items count as listed."""
        ...

    def changes(self, *, revision: int, newest_key: int, include_uncatalogued: bool = False) -> Catalogue:
        """The items that changed after a revision, and those with keys above `newest_key`, in columns."""
        ...

    def revision(self) -> int:
        """The revision of the newest catalogue change (a new uncatalogued item is no change)."""
        ...

    def keys_above(self, key: int) -> IntArray:
        """The keys of all items above one, ascending, uncatalogued ones included."""
        ...

    def newest_key(self) -> int:
        """The highest item key assigned so far, uncatalogued ones included; 0 while there is no item."""
        ...


class ItemRepository(ItemReader, Protocol):
    """Reads and writes items."""

    def resolve(self, item_ids: Sequence[str], *, now_ms: int | None = None) -> dict[str, int]:
        """The integer keys of these items; unknown items are created uncatalogued, first seen at `now_ms`."""
        ...

    def save(self, items: Sequence[Item], *, now_ms: int) -> int:
        """Insert or replace catalogue items, all under one new revision; returns it."""
        ...

    def lock_revision(self) -> None:
        """Keep other transactions from changing the catalogue until this one ends."""
        ...

    def touch(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Put known items under one new revision, because data stored elsewhere changed; returns the revision."""
        ...

    def remove(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Hide items and take them out of the catalogue; their events stay. Returns how many items were in it."""
        ...
