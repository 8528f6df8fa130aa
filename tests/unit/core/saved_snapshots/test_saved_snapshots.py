"""Saved snapshots: one that fits is started from, any other is discarded with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, AxisBundle, BruteForceIndex, MemoryArrayFolders, ReadSpyingStore, crown
from doubles import MemoryStore

from core.catalogue.items import Item
from core.clock import ManualClock
from core.manage import save_items
from core.ports.array_folders import Arrays, DamagedArrays
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.records.stored import ModelRecord
from core.saved_snapshots.saved_snapshots import PERIOD_S, Identity, SavedSnapshots

OURS = Identity("tests", include_uncatalogued=False)
NAME = "v1@1"


def put(store: MemoryStore, *items: Item) -> None:
    save_items(store, items, clock=ManualClock(NOW_MS))


def process(
    store: MemoryStore, folders: MemoryArrayFolders, identity: Identity = OURS, *, min_items: int = 0
) -> SnapshotManager:
    """The snapshots of a process that has started."""
    saved = SavedSnapshots(folders, identity, BruteForceIndex.of, min_items=min_items)

    def load(record: ModelRecord) -> AxisBundle:
        return AxisBundle(record.version)

    snapshots = SnapshotManager(store, load=load, build=BruteForceIndex, shape=SHAPE, saved=saved)
    snapshots.refresh()
    return snapshots


@pytest.fixture
def store() -> ReadSpyingStore:
    store = ReadSpyingStore()
    crown(store)
    put(store, Item("tea", "Tea", "green", ("food", "hot"), {"price": 2.5, "new": True, "of": "1"}), Item("jam"))
    return store


@pytest.fixture
def folders(store: ReadSpyingStore) -> MemoryArrayFolders:
    """With one saved snapshot of the store."""
    folders = MemoryArrayFolders()
    assert process(store, folders).save_if_due()
    return folders


def test_a_process_starts_from_it_without_reading_all_items(
    store: ReadSpyingStore, folders: MemoryArrayFolders
) -> None:
    assert "items.catalogue" not in store.reads_of(lambda: process(store, folders))
    put(store, Item("pan"))
    started = process(store, folders).current()
    assert list(started.catalogue.item_ids) == ["jam", "tea", "pan"]
    assert started.model is not None
    assert len(started.model.index) == 3


def test_no_item_is_read_while_none_has_changed(store: ReadSpyingStore, folders: MemoryArrayFolders) -> None:
    reads = store.reads_of(lambda: process(store, folders))
    assert not {"items.catalogue", "items.changes"} & set(reads)


def test_an_item_that_is_committed_after_one_with_a_higher_key_is_read(store: ReadSpyingStore) -> None:
    """PostgreSQL: one that is known from events only, which has no revision."""
    with store.transaction() as tx:
        tx.items.resolve(["late"])
        tx.commit()
    put(store, Item("pan"))
    with store.transaction() as tx:
        late = tx.data.items.pop("late")
        tx.commit()
    folders = MemoryArrayFolders()
    assert process(store, folders).save_if_due()
    with store.transaction() as tx:
        tx.data.items["late"] = late
        tx.commit()
    assert "items.catalogue" not in store.reads_of(lambda: process(store, folders))
    assert list(process(store, folders).current().catalogue.item_ids) == ["jam", "tea", "late", "pan"]


def test_a_catalogue_is_read_back_with_all_columns(store: ReadSpyingStore, folders: MemoryArrayFolders) -> None:
    with store.read() as read:
        expected = read.items.catalogue()
    catalogue = process(store, folders).current().catalogue
    for name in ("item_ids", "texts", "titles", "categories", "attributes"):
        assert repr(list(getattr(catalogue, name))) == repr(list(getattr(expected, name)))
    for name in ("keys", "listed", "created_ms", "content_revisions", "limits"):
        np.testing.assert_array_equal(getattr(catalogue, name), getattr(expected, name))


def test_what_is_saved_already_is_not_saved_again(store: ReadSpyingStore, folders: MemoryArrayFolders) -> None:
    snapshots = process(store, folders)
    assert not snapshots.save_if_due()
    put(store, Item("pan"))
    snapshots.refresh()
    assert not snapshots.save_if_due()
    folders.seconds = PERIOD_S + 1
    assert snapshots.save_if_due()
    assert folders.names() == ["v1@2"]


def test_another_model_version_is_saved_at_once_and_replaces_the_old_one(
    store: ReadSpyingStore, folders: MemoryArrayFolders
) -> None:
    crown(store, "v2", created_ms=NOW_MS + 1)
    assert process(store, folders).save_if_due()
    assert folders.names() == ["v2@1"]


def test_one_process_writes_at_a_time(store: ReadSpyingStore) -> None:
    folders = MemoryArrayFolders()
    folders.is_locked = True
    assert not process(store, folders).save_if_due()
    assert folders.names() == []


def test_small_catalogues_are_not_saved(store: ReadSpyingStore) -> None:
    folders = MemoryArrayFolders()
    assert not process(store, folders, min_items=3).save_if_due()
    assert folders.names() == []


def test_one_of_another_program_or_setting_is_discarded(
    store: ReadSpyingStore, folders: MemoryArrayFolders, caplog: pytest.LogCaptureFixture
) -> None:
    saved = dict(folders.saved)
    for other in (Identity("another version", False), Identity("tests", True)):
        folders.saved = dict(saved)
        assert "items.catalogue" in store.reads_of(lambda other=other: process(store, folders, other))  # type: ignore[misc]
        assert folders.names() == []
    assert "v1@1 is discarded: wanted program another version, got tests; the process starts from" in caplog.text
    assert "wanted include_uncatalogued True, got False" in caplog.text


def test_one_of_another_database_is_discarded(folders: MemoryArrayFolders, caplog: pytest.LogCaptureFixture) -> None:
    """A restored backup has the same model version, and comes to the same revisions with other items."""
    restored = MemoryStore()
    crown(restored)
    put(restored, Item("ink"))
    assert list(process(restored, folders).current().catalogue.item_ids) == ["ink"]
    assert "it was not made from this state of the database" in caplog.text


def test_a_damaged_one_is_discarded(
    store: ReadSpyingStore, folders: MemoryArrayFolders, caplog: pytest.LogCaptureFixture
) -> None:
    def load(name: str) -> tuple[Arrays, Any]:
        msg = f"{name}: keys.npy differs"
        raise DamagedArrays(msg)

    folders.load = load  # type: ignore[method-assign]
    assert list(process(store, folders).current().catalogue.item_ids) == ["jam", "tea"]
    assert "v1@1 is discarded: v1@1: keys.npy differs" in caplog.text
    assert folders.names() == []
