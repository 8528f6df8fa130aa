"""Items: keys, the catalogue, revisions and uncatalogued items."""

from __future__ import annotations

from dataclasses import replace

from core.catalogue.availability import Availability
from core.catalogue.items import Catalogue, Item
from core.manage import patch_items
from core.ports.store import Store

SALE = Availability(1_700_000_000_000, 1_800_000_000_000, stock=3)
SHOE = Item(
    "shoe", "Red shoe", "Runs fast", ("shoes", "sport"), {"price": 9.5, "sale": True, "note": None}, False, SALE
)
HAT = Item("hat", "Hat")


def save(store: Store, *items: Item, now_ms: int = 1000) -> int:
    with store.transaction() as tx:
        revision = tx.items.save(items, now_ms=now_ms)
        tx.commit()
    return revision


def test_items_are_read_back_by_key_and_by_id(store: Store) -> None:
    revision = save(store, SHOE, now_ms=1234)
    with store.read() as read:
        stored = read.items.by_id(["shoe"])["shoe"]
        assert read.items.by_key([stored.key]) == {stored.key: stored}
    assert (stored.item, stored.in_catalogue, stored.revision, stored.updated_ms) == (SHOE, True, revision, 1234)


def test_of_some_items_those_that_changed_after_a_revision_are_read(store: Store) -> None:
    first = save(store, SHOE, HAT)
    save(store, HAT, Item("scarf"))
    with store.read() as read:
        stored = read.items.by_id(["shoe", "hat", "scarf"])
        keys = [stored["shoe"].key, stored["hat"].key]
        assert read.items.changed(keys, revision=first) == {stored["hat"].key: stored["hat"]}
        assert read.items.changed(keys, revision=read.items.revision()) == {}


def test_each_save_puts_its_items_under_a_new_revision(store: Store) -> None:
    first, second = save(store, SHOE, HAT), save(store, HAT)
    with store.read() as read:
        assert read.items.revision() == second > first
        stored = read.items.by_id(["shoe", "hat"])
    assert (stored["shoe"].revision, stored["hat"].revision) == (first, second)


def test_patch_keeps_what_it_does_not_name(store: Store) -> None:
    first = save(store, SHOE, HAT)
    patch = {"item_id": "shoe", "hidden": True, "attributes": {"price": 7, "note": None}}
    revision, problems = patch_items(store, [patch, {"item_id": "unknown"}])
    with store.read() as read:
        stored = read.items.by_id(["shoe", "hat"])
    assert revision == first + 1
    assert [problem is None for problem in problems] == [True, False]
    assert stored["shoe"].item == replace(SHOE, hidden=True, attributes={"price": 7, "sale": True})
    assert (stored["hat"].item, stored["hat"].revision) == (HAT, first)


def test_saving_no_items_keeps_the_revision(store: Store) -> None:
    assert save(store) == 0
    assert save(store, SHOE) == save(store)


def test_of_duplicate_item_ids_the_last_is_stored(store: Store) -> None:
    save(store, Item("shoe", "first"), Item("shoe", "last"))
    with store.read() as read:
        assert read.items.by_id(["shoe"])["shoe"].item.title == "last"
        assert read.totals().items == 1


def test_event_of_an_unknown_item_creates_an_uncatalogued_item(store: Store) -> None:
    save(store, HAT)
    with store.read() as read:
        before = (read.items.revision(), read.items.newest_key())
    with store.transaction() as tx:
        keys = tx.items.resolve(["shoe", "hat", "shoe"])
        tx.commit()
    with store.read() as read:
        stub = read.items.by_id(["shoe"])["shoe"]
        assert (stub.key, stub.item, stub.in_catalogue) == (keys["shoe"], Item("shoe"), False)
        assert read.items.revision() == before[0]
        assert read.items.newest_key() == keys["shoe"] > before[1]
        assert [stored.item.item_id for stored in read.items.page()] == ["hat"]


def test_uncatalogued_item_keeps_its_key_when_it_is_catalogued(store: Store) -> None:
    with store.transaction() as tx:
        key = tx.items.resolve(["shoe"])["shoe"]
        tx.commit()
    save(store, SHOE)
    with store.read() as read:
        assert read.items.by_key([key])[key].item == SHOE
        assert read.items.newest_key() == key


def test_a_removed_item_is_hidden_and_keeps_its_key(store: Store) -> None:
    before = save(store, SHOE, HAT)
    with store.transaction() as tx:
        assert tx.items.remove(["shoe", "shoe", "unknown"], now_ms=2000) == 1
        tx.commit()
    with store.read() as read:
        gone = read.items.by_id(["shoe"])["shoe"]
        assert read.items.revision() == before + 1
        assert [stored.item.item_id for stored in read.items.page()] == ["hat"]
    assert (gone.in_catalogue, gone.item.hidden, gone.revision, gone.updated_ms) == (False, True, before + 1, 2000)


def test_removing_an_uncatalogued_item_keeps_the_revision(store: Store) -> None:
    before = save(store, SHOE)
    with store.transaction() as tx:
        tx.items.resolve(["stub"])
        assert tx.items.remove(["stub", "unknown"], now_ms=2000) == 0
        tx.commit()
    with store.read() as read:
        assert read.items.revision() == before


def test_items_are_listed_in_byte_order_in_pages(store: Store) -> None:
    ids = ["B", "a", "ä", "b", "10", "9", "b-1", "b1"]
    save(store, *map(Item, ids))
    listed: list[str] = []
    with store.read() as read:
        while page := read.items.page(after=listed[-1] if listed else "", limit=3):
            listed += [stored.item.item_id for stored in page]
    assert listed == sorted(ids, key=str.encode)


def test_the_catalogue_holds_all_items_by_ascending_key(store: Store) -> None:
    revision = save(store, SHOE, HAT, Item("secret", "Hidden", hidden=True))
    with store.transaction() as tx:
        tx.items.resolve(["stub"])
        tx.commit()
    with store.read() as read:
        catalogue = read.items.catalogue()
        keys = {name: stored.key for name, stored in read.items.by_id(["shoe", "hat", "secret", "stub"]).items()}
    rows = dict(
        zip(catalogue.item_ids, zip(catalogue.texts, catalogue.categories, catalogue.listed, strict=True), strict=True)
    )
    assert catalogue.keys.tolist() == sorted(keys.values())
    assert [keys[item_id] for item_id in catalogue.item_ids] == sorted(keys.values())
    assert catalogue.revision == revision
    assert rows == {
        "shoe": ("Red shoe\nRuns fast", ("shoes", "sport"), True),
        "hat": ("Hat", (), True),
        "secret": ("Hidden", (), False),
        "stub": ("", (), False),
    }


def test_uncatalogued_items_can_be_listed_hidden_and_removed_never(store: Store) -> None:
    save(store, SHOE, HAT, Item("secret", hidden=True))
    with store.transaction() as tx:
        tx.items.resolve(["stub"])
        tx.items.remove(["hat"], now_ms=1)
        tx.commit()
    with store.read() as read:
        catalogue = read.items.catalogue(include_uncatalogued=True)
    listed = dict(zip(catalogue.item_ids, catalogue.listed.tolist(), strict=True))
    assert listed == {"shoe": True, "hat": False, "secret": False, "stub": True}


def test_an_empty_store_has_an_empty_catalogue(store: Store) -> None:
    with store.read() as read:
        assert len(read.items.catalogue()) == 0
        assert (read.items.revision(), read.items.newest_key()) == (0, 0)


def test_the_catalogue_knows_limits_and_stock(store: Store) -> None:
    first = save(store, SHOE, HAT, Item("gone", availability=Availability(stock=0)))
    with store.read() as read:
        before = read.items.catalogue()
    patch_items(
        store, [{"item_id": "hat", "available_until": "2023-11-14T22:13:20Z"}, {"item_id": "shoe", "stock": -1}]
    )
    with store.read() as read:
        after = before.with_changes(read.items.changes(revision=first, newest_key=int(before.keys[-1])))
    times_ms = (SALE.available_from or 0) - 1, SALE.available_from or 0, SALE.available_until or 0
    assert [sorted(_listed(before, time_ms)) for time_ms in times_ms] == [["hat"], ["hat", "shoe"], ["hat"]]
    assert [sorted(_listed(after, time_ms)) for time_ms in times_ms] == [["hat"], [], []]


def _listed(catalogue: Catalogue, now_ms: int) -> list[str]:
    return [item_id for item_id, listed in zip(catalogue.item_ids, catalogue.listed_at(now_ms), strict=True) if listed]


def test_totals_count_listed_items_separately(store: Store) -> None:
    save(store, SHOE, HAT, Item("secret", hidden=True), Item("gone", availability=Availability(stock=0)))
    with store.transaction() as tx:
        tx.items.resolve(["stub"])
        tx.commit()
    with store.read() as read:
        assert (read.totals().items, read.totals().listed_items) == (5, 2)


def test_touching_items_changes_only_their_revision(store: Store) -> None:
    first = save(store, SHOE, HAT, now_ms=1000)
    with store.transaction() as tx:
        tx.items.resolve(["stub"])
        revision = tx.items.touch(["shoe", "stub", "unknown"], now_ms=2000)
        tx.commit()
    with store.read() as read:
        stored = read.items.by_id(["shoe", "hat", "stub", "unknown"])
        assert read.items.revision() == revision > first
    assert {item_id: (item.revision, item.updated_ms) for item_id, item in stored.items()} == {
        "shoe": (revision, 2000),
        "hat": (first, 1000),
        "stub": (revision, 2000),
    }
    assert (stored["shoe"].item, stored["shoe"].in_catalogue) == (SHOE, True)
    assert not stored["stub"].in_catalogue


def test_touching_unknown_items_keeps_the_revision(store: Store) -> None:
    before = save(store, SHOE)
    with store.transaction() as tx:
        assert tx.items.touch(["unknown"], now_ms=2000) == before
        assert tx.items.touch([], now_ms=2000) == before
        tx.commit()
    with store.read() as read:
        assert read.items.revision() == before


def test_the_catalogue_holds_creation_times(store: Store) -> None:
    with store.transaction() as tx:
        tx.items.resolve(["heard"], now_ms=500)
        tx.items.resolve(["somehow"])
        tx.commit()
    save(store, HAT, Item("heard", "Now named"), now_ms=1000)
    save(store, SHOE, HAT, now_ms=2000)
    with store.read() as read:
        catalogue = read.items.catalogue()
    assert catalogue.created_ms is not None
    created_ms = dict(zip(catalogue.item_ids, catalogue.created_ms.tolist(), strict=True))
    assert created_ms == {"heard": 500, "somehow": 0, "hat": 1000, "shoe": 2000}
    assert [catalogue.item_ids[row] for row in catalogue.newest_first] == ["shoe", "hat", "heard", "somehow"]


def test_the_catalogue_holds_attributes(store: Store) -> None:
    save(store, SHOE, HAT)
    with store.read() as read:
        catalogue = read.items.catalogue()
    assert catalogue.attributes is not None
    assert dict(zip(catalogue.item_ids, catalogue.attributes, strict=True)) == {"shoe": SHOE.attributes, "hat": {}}


# --- changes


def changed_ids(store: Store, revision: int, newest_key: int) -> dict[str, int]:
    """The ids of the items that changed since, with their content revisions."""
    with store.read() as read:
        changes = read.items.changes(revision=revision, newest_key=newest_key)
        assert changes.revision == read.items.revision()
        assert changes.keys.tolist() == sorted(changes.keys.tolist())
    return {item_id: changes.content_state(changes.keys[[row]])[0] for row, item_id in enumerate(changes.item_ids)}


def test_changes_are_the_items_of_later_revisions_and_keys(store: Store) -> None:
    first = save(store, SHOE, HAT)
    with store.read() as read:
        newest_key = read.items.newest_key()
    assert changed_ids(store, first, newest_key) == {}
    second = save(store, HAT)
    with store.transaction() as tx:
        tx.items.resolve(["stub"])
        third = tx.items.remove(["shoe"], now_ms=1) and tx.items.revision()
        tx.commit()
    assert changed_ids(store, first, newest_key) == {"hat": first, "shoe": first, "stub": 0}
    with store.read() as read:
        newest_key = read.items.newest_key()
    assert list(changed_ids(store, second, newest_key)) == ["shoe"]
    assert changed_ids(store, third, newest_key) == {}


def test_keys_above_one_are_those_of_all_items_ascending(store: Store) -> None:
    save(store, SHOE, HAT)
    with store.transaction() as tx:
        tx.items.resolve(["stub"])
        tx.commit()
    with store.read() as read:
        keys = [read.items.by_id([item_id])[item_id].key for item_id in ("shoe", "hat", "stub")]
        assert read.items.keys_above(0).tolist() == sorted(keys)
        assert read.items.keys_above(min(keys)).tolist() == sorted(keys)[1:]
        assert read.items.keys_above(max(keys)).tolist() == []


def test_a_change_of_content_raises_the_content_revision(store: Store) -> None:
    first = save(store, SHOE)
    for same in (replace(SHOE, attributes={"price": 1}), replace(SHOE, hidden=True)):
        save(store, same)
        assert changed_ids(store, 0, 0) == {"shoe": first}
    for other in (replace(SHOE, title="x"), replace(SHOE, text="y"), replace(SHOE, categories=("shoes",))):
        assert changed_ids(store, save(store, other) - 1, 0) == {"shoe": save(store, other) - 1}
    with store.transaction() as tx:
        touched = tx.items.touch(["shoe"], now_ms=1)
        tx.commit()
    assert changed_ids(store, 0, 0) == {"shoe": touched}


def test_the_changes_since_the_beginning_are_the_catalogue(store: Store) -> None:
    save(store, SHOE, HAT)
    with store.read() as read:
        catalogue, changes = read.items.catalogue(), read.items.changes(revision=0, newest_key=0)
    for name in ("item_ids", "texts", "titles", "categories", "attributes", "revision"):
        assert getattr(catalogue, name) == getattr(changes, name)
    for name in ("keys", "listed", "created_ms", "content_revisions"):
        assert getattr(catalogue, name).tolist() == getattr(changes, name).tolist()
