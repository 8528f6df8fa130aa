"""Catalogue changes: a catalogue made by changes equals one made anew, and its predecessors stay as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.catalogue.attributes import Between, Condition
from core.catalogue.availability import Availability, limits_of
from core.catalogue.items import Catalogue, Item

TEXTS = st.sampled_from(["", "tea", "jam"])
ATTRIBUTES = st.dictionaries(st.sampled_from(["price", "brand"]), st.sampled_from([1, 2.5, "x", True, None]))
ITEMS = st.builds(
    Item,
    st.just(""),
    TEXTS,
    TEXTS,
    st.lists(st.sampled_from(["food", "hot"]), unique=True).map(tuple),
    ATTRIBUTES,
    st.booleans(),
    st.builds(Availability, *[st.sampled_from([None, 10, 20, 30])] * 2),
)
CHANGES = st.lists(st.dictionaries(st.integers(1, 12), ITEMS, min_size=1, max_size=4), min_size=1, max_size=6)
CONDITIONS = [
    Condition("price", ("1", "x")),
    Condition("price", (Between(0, 2),)),
    Condition("brand", ("true", Between(-9, 9))),
    Condition("no such", ("1",)),
]


def catalogue_of(items: dict[int, Item], revisions: dict[int, int], revision: int) -> Catalogue:
    """A catalogue of items by key, each with its content revision."""
    keys = sorted(items)
    rows = [items[key] for key in keys]
    return Catalogue(
        np.array(keys, np.int64),
        tuple(f"item-{key}" for key in keys),
        tuple(f"{item.title}\n{item.text}".strip() for item in rows),
        tuple(item.categories for item in rows),
        np.array([not item.hidden for item in rows], np.bool_),
        revision,
        np.array([key // 3 for key in keys], np.int64),
        tuple(item.attributes for item in rows),
        tuple(item.title for item in rows),
        np.array([revisions[key] for key in keys], np.int64),
        limits_of([item.availability[:2] for item in rows]),
    )


def described(catalogue: Catalogue) -> dict[str, Any]:
    """Everything that a reader can see."""
    return {
        "keys": catalogue.keys.tolist(),
        "ids": list(catalogue.item_ids),
        "texts": list(catalogue.texts),
        "titles": list(catalogue.titles),
        "categories": list(catalogue.categories),
        "attributes": list(catalogue.attributes or ()),
        "listed": catalogue.listed.tolist(),
        "listed at": [catalogue.listed_at(now_ms).tolist() for now_ms in (15, 5, 30, 99, 10)],
        "revision": catalogue.revision,
        "content": [catalogue.content_state(catalogue.keys[row : row + 1]) for row in range(len(catalogue))],
        "newest first": catalogue.newest_first.tolist(),
        "searched": list(catalogue.searched),
        "by category": {name: rows.tolist() for name, rows in catalogue.category_rows.items()},
        "by attribute": [catalogue.by_attribute.rows(condition).tolist() for condition in CONDITIONS],
        "names": [catalogue.name_of(row) for row in range(len(catalogue))],
        "by id": catalogue.rows_of_ids([f"item-{key}" for key in range(14)]).tolist(),
    }


@settings(max_examples=40)
@given(CHANGES)
def test_a_catalogue_made_by_changes_equals_one_made_anew(changes: Sequence[dict[int, Item]]) -> None:
    items: dict[int, Item] = {}
    revisions: dict[int, int] = {}
    catalogue = catalogue_of({}, {}, 0)
    made, expected = [catalogue], [described(catalogue)]
    for revision, changed in enumerate(changes, start=1):
        items |= changed
        revisions |= dict.fromkeys(changed, revision)
        catalogue = catalogue.with_changes(catalogue_of(changed, revisions, revision))
        made.append(catalogue)
        expected.append(described(catalogue_of(items, revisions, revision)))
        assert described(catalogue) == expected[-1]
    assert [described(predecessor) for predecessor in made] == expected, "a later change reached a predecessor"


@settings(max_examples=20)
@given(CHANGES, CHANGES)
def test_two_successors_of_a_catalogue_do_not_disturb_each_other(
    left: Sequence[dict[int, Item]], right: Sequence[dict[int, Item]]
) -> None:
    start = {key: Item("", f"title {key}") for key in range(1, 4)}
    base = catalogue_of(start, dict.fromkeys(start, 1), 1)
    described(base)
    for first, second in zip(left, right, strict=False):
        made = [base.with_changes(catalogue_of(part, dict.fromkeys(part, 2), 2)) for part in (first, second)]
        anew = [
            catalogue_of(start | part, dict.fromkeys(start, 1) | dict.fromkeys(part, 2), 2) for part in (first, second)
        ]
        assert list(map(described, made)) == list(map(described, anew))


def test_a_changed_attribute_copies_its_block_and_its_column_only() -> None:
    items = {key: Item("", str(key), attributes={"price": key, "brand": "x"}) for key in range(5_000)}
    before = catalogue_of(items, dict.fromkeys(items, 1), 1)
    before = before.with_changes(catalogue_of({7: items[7]}, {7: 1}, 2))
    described(before)
    changed = {7: Item("", "7", attributes={"price": 1.5, "brand": "x"})}
    after = before.with_changes(catalogue_of(changed, {7: 1}, 3))
    assert (after.keys is before.keys, after.listed is before.listed, after.newest_first is before.newest_first) == (
        True,
        True,
        True,
    )
    assert after.name_of(7) is before.name_of(7)
    assert after.by_attribute.rows(Condition("price", ("1.5",))).tolist() == [7]
    shared = sum(map(lambda one, other: one is other, before.attributes, after.attributes))  # type: ignore[arg-type]
    assert shared == len(items) - 1


def test_values_that_no_item_has_any_more_are_dropped() -> None:
    catalogue = catalogue_of({1: Item("", attributes={"price": 0})}, {1: 1}, 1)
    catalogue.by_attribute  # noqa: B018 computed before the changes
    for price in range(1, 3_000):
        catalogue = catalogue.with_changes(catalogue_of({1: Item("", attributes={"price": price})}, {1: 1}, price))
    found = [
        catalogue.by_attribute.rows(Condition("price", (choice,))).tolist()
        for choice in ("2999", "2998", Between(2_990, 3_000))
    ]
    assert found == [[0], [], [0]]


def test_a_number_that_becomes_true_is_a_change() -> None:
    one = catalogue_of({1: Item("", attributes={"price": 1})}, {1: 1}, 1)
    described(one)
    true = one.with_changes(catalogue_of({1: Item("", attributes={"price": True})}, {1: 1}, 2))
    assert [true.by_attribute.rows(Condition("price", (choice,))).tolist() for choice in ("1", "true")] == [[], [0]]
