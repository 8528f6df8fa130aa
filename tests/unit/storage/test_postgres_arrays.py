"""Arrays in PostgreSQL's binary format: as the driver packs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("psycopg")

from psycopg.adapt import PyFormat, Transformer

from storage.postgres_arrays import packed


@pytest.mark.parametrize(
    "values",
    [
        (2**40, 0, -1, 2**63 - 1, -(2**63)),
        (2**40,) * 3_000,
        (b"", b"x", b"\0" * 16, b"long" * 1_000),
    ],
)
def test_packed_integers_and_bytes_are_what_the_driver_makes(values: Sequence[Any]) -> None:
    driver = Transformer().get_dumper(list(values), PyFormat.BINARY)
    array = packed(values)
    assert isinstance(array, bytes)
    assert array == driver.dump(list(values))


@pytest.mark.parametrize(
    "values",
    [(), (1, None), (None, 1), (1, 2.5), (1.5, 2.0), (True, False), ("a", "b"), (b"a", None), (1, 2**63)],
)
def test_other_values_are_left_to_the_driver(values: Sequence[Any]) -> None:
    assert packed(values) == list(values)
