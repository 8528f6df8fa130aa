"""Packed columns equal the sequences that they were packed from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.columns import Column
from core.saved_snapshots.packed_columns import PackedColumn, as_is, packed

TEXTS = st.lists(st.text(max_size=4), max_size=12)
PLACES = st.none() | st.integers(-15, 15)


def column_of(texts: list[str]) -> PackedColumn[str]:
    return PackedColumn(*packed(texts, as_is), as_is)


@given(TEXTS)
def test_a_column_has_the_values_that_were_packed(texts: list[str]) -> None:
    column = column_of(texts)
    assert list(column) == [column[row] for row in range(len(column))] == texts
    assert [column[-1 - row] for row in range(len(column))] == texts[::-1]


@given(TEXTS, PLACES, PLACES, st.none() | st.sampled_from([1, 2, -1]))
def test_a_slice_is_that_of_a_list(texts: list[str], begin: int | None, end: int | None, step: int | None) -> None:
    part = column_of(texts)[begin:end:step]
    assert list(part) == texts[begin:end:step]
    assert [part[row] for row in range(len(part))] == texts[begin:end:step]
    assert list(part[1:]) == texts[begin:end:step][1:]


@given(TEXTS, st.dictionaries(st.integers(0, 11), st.text(max_size=4)))
def test_a_column_can_be_changed_without_a_change_of_what_is_packed(texts: list[str], new: dict[int, str]) -> None:
    kept = {row: text for row, text in new.items() if row < len(texts)}
    column = Column.of(column_of(texts))
    assert list(column.with_values(kept)) == [kept.get(row, text) for row, text in enumerate(texts)]
    assert list(column) == texts
