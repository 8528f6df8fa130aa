"""Catalogue changes: each in one transaction, or a clear refusal."""

from __future__ import annotations

import pytest
from domain_doubles import NOW_MS, event, ingestor
from doubles import MemoryStore

from core.catalogue.items import Item
from core.clock import ManualClock
from core.errors import NotFound
from core.ingestion.sources import RequestSource
from core.manage import patch_items, remove_item, save_items

CLOCK = ManualClock(NOW_MS)


def test_items_saved_together_share_a_revision() -> None:
    store = MemoryStore()
    assert save_items(store, [Item("b"), Item("a", title="old"), Item("a", title="new")], clock=CLOCK) == 1
    assert save_items(store, [Item("c")], clock=CLOCK) == 2
    with store.read() as read:
        listed = read.items.page()
    assert [stored_item.item for stored_item in listed] == [Item("a", title="new"), Item("b"), Item("c")]
    assert [stored_item.revision for stored_item in listed] == [1, 1, 2]
    assert {stored_item.updated_ms for stored_item in listed} == {NOW_MS}


def test_patches_share_a_revision_and_apply_in_order() -> None:
    store = MemoryStore()
    save_items(store, [Item("a", "old", attributes={"x": 1}), Item("b", "kept")], clock=CLOCK)
    patches = [{"item_id": "a", "title": "new"}, {"item_id": "gone"}, {"item_id": "a", "attributes": {"y": 2}}]
    revision, problems = patch_items(store, patches, clock=CLOCK)
    with store.read() as read:
        stored = read.items.by_id(["a", "b"])
    assert (revision, [str(problem) for problem in problems]) == (
        2,
        ["None", "item 'gone' is not in the catalogue; PUT it to add it", "None"],
    )
    assert stored["a"].item == Item("a", "new", attributes={"x": 1, "y": 2})
    assert (stored["a"].revision, stored["b"].revision) == (2, 1)


def test_patches_of_unknown_items_keep_the_revision() -> None:
    store = MemoryStore()
    ingestor(store).ingest([event("ann", "uncatalogued")], RequestSource("api"))
    revision, problems = patch_items(store, [{"item_id": "uncatalogued", "hidden": True}], clock=CLOCK)
    assert revision == 0
    assert isinstance(problems[0], NotFound)


def test_removed_item_is_hidden_and_its_events_stay() -> None:
    store = MemoryStore()
    save_items(store, [Item("a")], clock=CLOCK)
    ingestor(store).ingest([event("ann", "a")], RequestSource("api"))
    remove_item(store, "a", clock=CLOCK)
    with store.read() as read:
        (stored,) = read.items.by_id(["a"]).values()
        assert (stored.in_catalogue, stored.item.hidden, read.items.revision()) == (False, True, 2)
        assert read.totals().events == 1


def test_what_is_not_there_cannot_be_removed() -> None:
    store = MemoryStore()
    with pytest.raises(NotFound, match="item 'a' is not in the catalogue"):
        remove_item(store, "a", clock=CLOCK)
