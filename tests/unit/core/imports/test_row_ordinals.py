"""Ordinals among identical rows, against plain counting."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from errno import ENOSPC
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.imports import row_ordinals
from core.imports.row_ordinals import RowOrdinals

batches = st.lists(st.lists(st.integers(0, 9), max_size=20), max_size=12)


def digest(number: int) -> bytes:
    return number.to_bytes(8, "little") * 2


@pytest.fixture(params=[4, 1 << 21], ids=["in_files", "in_memory"])
def _in_files_or_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_ordinals, "MAX_IN_MEMORY", request.param)


@pytest.mark.usefixtures("_in_files_or_memory")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_hashes_of_millions_of_rows_leave_memory_and_stay_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_ordinals, "MAX_IN_MEMORY", 2_000)
    repeats = RowOrdinals()
    tracemalloc.start()
    try:
        for batch in range(100):
            repeats.ordinals([digest(batch * 1000 + n) for n in range(1000)])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000 * 8 / 4
    assert repeats.ordinals([digest(n) for n in range(0, 100_000, 1000)]) == [1] * 100


def test_a_full_disk_leaves_them_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> NoReturn:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(row_ordinals, "MAX_IN_MEMORY", 2)
    monkeypatch.setattr(row_ordinals, "TemporaryFile", full)
    repeats = RowOrdinals()
    assert [repeats.ordinals(list(map(digest, range(4)))) for _ in range(2)] == [[0] * 4, [1] * 4]
