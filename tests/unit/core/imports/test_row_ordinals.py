"""Ordinals among identical rows, against plain counting."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from core.imports.row_ordinals import RowOrdinals

batches = st.lists(st.lists(st.integers(0, 9), max_size=20), max_size=12)


def digest(number: int) -> bytes:
    return number.to_bytes(8, "little") * 2


@given(batches)
def test_each_row_gets_the_number_of_equal_rows_before_it(rows: list[list[int]]) -> None:
    repeats, seen = RowOrdinals(), Counter[int]()
    for batch in rows:
        expected = []
        for number in batch:
            expected.append(seen[number])
            seen[number] += 1
        assert repeats.ordinals([digest(number) for number in batch]) == expected


def test_many_distinct_rows_are_kept_in_few_sorted_runs() -> None:
    repeats = RowOrdinals()
    for batch in range(100):
        assert set(repeats.ordinals([digest(batch * 1000 + n) for n in range(1000)])) == {0}
    assert repeats.ordinals([digest(n) for n in range(0, 100_000, 1000)]) == [1] * 100
    assert repeats.num_runs <= 17
