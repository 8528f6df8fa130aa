"""What is true of items at the moment of a request."""

from __future__ import annotations

from domain_doubles import ReadSpyingStore

from core.catalogue.items import Catalogue, Item
from core.recommendation.snapshots.current_items import CurrentItems


def add(store: ReadSpyingStore, *names: str) -> None:
    with store.transaction() as tx:
        tx.items.save([Item(name) for name in names], now_ms=1)
        tx.commit()


def names_read(store: ReadSpyingStore, catalogue: Catalogue) -> tuple[list[str], list[str]]:
    """The ids that all items of a catalogue have now, and what was read for that."""
    ids: list[str] = []

    def name_all() -> None:
        with store.read() as read:
            items = CurrentItems(read, catalogue, read.items.revision(), False, now_ms=1)
            ids.extend(name.item_id for name in items.names(catalogue.keys.tolist()).values())

    return ids, store.reads_of(name_all)


def catalogue_of(store: ReadSpyingStore) -> Catalogue:
    with store.read() as read:
        catalogue: Catalogue = read.items.catalogue()
    return catalogue


def test_items_are_named_without_a_read_while_nothing_changes() -> None:
    store = ReadSpyingStore()
    add(store, "a", "b", "c")
    assert names_read(store, catalogue_of(store)) == (["a", "b", "c"], ["items.revision"])


def test_after_a_change_all_items_are_named_by_one_read() -> None:
    store = ReadSpyingStore()
    add(store, "a", "b", "c")
    catalogue = catalogue_of(store)
    add(store, "d")
    assert names_read(store, catalogue) == (["a", "b", "c"], ["items.revision", "items.changed"])
