"""Writing files: what is written is read again, and a file appears only when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InvalidInput
from storage.files import open_rows
from storage.files.writing import write_records

TYPES = {"user_id": "VARCHAR", "time": "BIGINT", "value": "DOUBLE", "tags": "VARCHAR[]"}
RECORDS = [
    {"user_id": "änn", "time": 1_700_000_000_000, "value": 4.5, "tags": ["a", "b"]},
    {"user_id": "it's", "time": 1_700_000_000_001, "value": None, "tags": []},
]


@pytest.mark.parametrize("name", ["it's.parquet", "x.jsonl", "x.jsonl.gz", "x.ndjson"])
def test_written_records_are_read_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write_records(path, RECORDS, TYPES) == 2
    with open_rows(path) as reader:
        (chunk,) = reader.chunks(list(TYPES), size=10)
    assert [dict(zip(TYPES, row, strict=True)) for row in chunk.rows] == RECORDS
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x.parquet", "x.jsonl", "x.jsonl.gz"])
def test_only_the_owner_may_read_written_records(tmp_path: Path, name: str) -> None:
    write_records(tmp_path / name, RECORDS, TYPES)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_no_records_are_an_empty_file_with_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    assert write_records(path, [], TYPES) == 0
    with open_rows(path) as reader:
        assert (reader.columns, list(reader.chunks(list(TYPES), size=10))) == (tuple(TYPES), [])


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, object]]:
        yield RECORDS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(InvalidInput, match=r"cannot be written \(no space left on device\)"):
        write_records(tmp_path / "x.jsonl", broken(), TYPES)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_or_an_unknown_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("mine")
    with pytest.raises(InvalidInput, match=r"x\.jsonl exists; remove it"):
        write_records(path, RECORDS, TYPES)
    with pytest.raises(InvalidInput, match=r"wanted a name that ends with one of \.parquet"):
        write_records(tmp_path / "x.csv", RECORDS, TYPES)
    assert path.read_text() == "mine"
