"""The audit log: an entry for each committed change, none for one that failed."""

from __future__ import annotations

import pytest
from domain_doubles import NOW_MS

from core.access.audit import AuditedStore, named
from core.catalogue.items import Item
from core.clock import ManualClock
from core.errors import NotFound
from core.manage import remove_item, save_items
from core.ports.store import Store


def changes(store: Store, *, before: int | None = None, limit: int = 100) -> list[tuple[str, str, str]]:
    with store.read() as read:
        page = read.audit.page(before=before, limit=limit)
    assert all(entry.time_ms == NOW_MS for entry in page)
    return [(entry.actor, entry.action, entry.target) for entry in page]


def audited(store: Store, action: str, target: str = "") -> AuditedStore:
    return AuditedStore(store, "shop", action, target, ManualClock(NOW_MS))


def test_a_change_and_its_entry_are_one_transaction(store: Store) -> None:
    save_items(audited(store, "put items", "tea"), [Item("tea")])
    remove_item(audited(store, "remove item", "tea"), "tea")
    with pytest.raises(NotFound):
        remove_item(audited(store, "remove item", "tea"), "tea")
    assert changes(store) == [("shop", "remove item", "tea"), ("shop", "put items", "tea")]


def test_pages_go_from_the_newest_entry_back(store: Store) -> None:
    for number in range(5):
        save_items(audited(store, f"change {number}"), [Item("tea")])
    with store.read() as read:
        newest = read.audit.page(limit=2)
    assert [entry.action for entry in newest] == ["change 4", "change 3"]
    assert [action for _, action, _ in changes(store, before=newest[-1].key)] == ["change 2", "change 1", "change 0"]


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")]
)
def test_many_names_are_shortened(names: list[str], text: str) -> None:
    assert named(names) == text
