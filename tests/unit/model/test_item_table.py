"""The item table: successors equal a plain array with the same changes, and no table ever changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.catalogue.columns import with_rows
from model.item_table import ItemTable

CHANGES = st.lists(st.tuples(st.sets(st.integers(0, 5), max_size=3), st.integers(0, 3)), max_size=12)


@settings(max_examples=40)
@given(CHANGES)
def test_a_table_made_by_changes_equals_the_changed_array(changes: list[tuple[set[int], int]]) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(7, 2)).astype(np.float32)  # six items and the absent one
    table, items, absent = ItemTable.of(vectors), vectors[:-1], vectors[-1:]
    made = [(table, vectors)]
    for changed, num_new in changes:
        rows = np.array([*sorted(changed), *range(len(items), len(items) + num_new)], np.int64)
        values = random.normal(size=(len(rows), 2)).astype(np.float32)
        table, items = table.with_rows(rows, values), with_rows(items, rows, values)
        made.append((table, np.concatenate([items, absent])))
    for each, expected in made:
        np.testing.assert_array_equal(each.take(np.arange(len(expected))), expected)
        np.testing.assert_array_equal(each.take(np.array([-1])), absent)


def test_a_table_in_place_shares_the_given_slots_and_writes_to_those_left() -> None:
    slots = np.arange(5, dtype=np.float32)[:, None]
    table = ItemTable.in_place(slots, 2)
    assert table.take(np.array([0, 1, -1])).tolist() == [[0.0], [1.0], [2.0]]
    changed = table.with_rows(np.array([0, 2]), np.array([[7.0], [8.0]], np.float32))
    assert changed.take(np.array([0, 1, 2, -1])).tolist() == [[7.0], [1.0], [8.0], [2.0]]
    assert slots[:, 0].tolist() == [0.0, 1.0, 2.0, 7.0, 8.0]


def test_two_successors_of_a_table_do_not_disturb_each_other() -> None:
    table = ItemTable.of(np.zeros((3, 1), np.float32))
    left, right = (table.with_rows(np.array([0]), np.array([[value]], np.float32)) for value in (1, 2))
    assert [each.take(np.array([0, 1])).tolist() for each in (table, left, right)] == [
        [[0.0], [0.0]],
        [[1.0], [0.0]],
        [[2.0], [0.0]],
    ]
