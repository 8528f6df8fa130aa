"""Opening files: the format by name and content, Parquet, JSON arrays and zstd."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.errors import InvalidInput
from core.imports.rows import FileFormat
from storage.files import open_rows


def read(path: Path, *names: str, optional: tuple[str, ...] = (), **said: Any) -> list[list[object]]:
    with open_rows(path, FileFormat(**said)) as reader:
        return [list(row) for chunk in reader.chunks(names, optional=optional, size=2) for row in chunk.rows]


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "events.parquet"
    rows = """
        SELECT {'id': i, 'name': 'ann'} AS user, 'item ' || i AS "item.id",
            TIMESTAMPTZ '2022-06-24 21:20:11Z' AS time, 1.5::DECIMAL(9, 2) AS price, ['x', 'y'] AS tags
        FROM range(5) numbers(i)
    """
    duckdb.execute(f"COPY ({rows}) TO '{path}'")
    return path


def test_parquet_is_read_in_chunks_with_row_numbers(parquet: Path) -> None:
    with open_rows(parquet) as reader:
        chunks = list(reader.chunks(["item.id"], size=2))
        assert [chunk.lines for chunk in chunks] == [[1, 2], [3, 4], [5]]
        assert (reader.description, reader.bytes_read) == ("Parquet", parquet.stat().st_size)


def test_parquet_values_are_nested_times_numbers_and_lists(parquet: Path) -> None:
    first = read(parquet, "user.id", "item.id", "time", "price", "tags")[0]
    assert first == [0, "item 0", datetime(2022, 6, 24, 21, 20, 11, tzinfo=UTC), 1.5, ["x", "y"]]


@pytest.mark.parametrize("column", ["sku", "user.sku", "price.id"])
def test_a_missing_column_of_parquet_is_named(parquet: Path, column: str) -> None:
    with pytest.raises(InvalidInput, match=rf"has no column '{column}'; its columns are 'user', 'item.id'"):
        read(parquet, column)


def test_a_rejected_row_of_parquet_keeps_its_values(parquet: Path) -> None:
    with open_rows(parquet) as reader:
        chunk = next(reader.chunks(["item.id", "price"], size=2))
        chunk.reject(1, "no reason")
    assert (chunk.bad[0].line, json.loads(chunk.bad[0].raw)) == (2, ["item 1", 1.5])


def test_a_damaged_parquet_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(InvalidInput, match=r"events\.parquet: cannot be read"):
        read(path, "user")


def test_json_arrays_are_rows_and_may_lack_optional_columns(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps([{"user": {"id": 1}, "item": "x"}, {"user": {"id": 2}, "item": "y", "value": 3}]))
    assert read(path, "user.id", "item", optional=("value", "kind")) == [[1, "x", None, None], [2, "y", 3, None]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log", "user,item\nann,x\n"),
        ("log.txt", "user\titem\nann\tx\n"),
        ("log.inter", "user|item\nann|x\n"),
        ("log.json", '{"user": "ann", "item": "x"}\n'),
        ("log.gz", "sep=;\nuser;item\nann;x\n"),
    ],
)
def test_the_format_is_found_in_the_content(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    assert read(path, "user", "item") == [["ann", "x"]]


def test_a_format_given_overrides_the_name(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('user\titem\nann\t"x\n')
    assert read(path, "user", "item", format="tsv") == [["ann", '"x']]


@pytest.mark.parametrize(("name", "content", "said"), [("log.xlsx", b"PK\x03\x04", None), ("log.csv", b"a\n", "xml")])
def test_an_unknown_format_is_refused_with_the_known(
    tmp_path: Path, name: str, content: bytes, said: str | None
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"wanted a format \(csv, tsv, jsonl, json, parquet\).*--format"):
        read(path, "user", format=said)


def test_zstd_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.zst"
    duckdb.execute(
        "COPY (SELECT 'ann' AS user, 'caf\u00e9 ' || i AS item FROM range(3000) t(i)) "
        f"TO '{path}' (FORMAT csv, HEADER, COMPRESSION zstd)"
    )
    assert read(path, "user", "item") == [["ann", f"caf\u00e9 {number}"] for number in range(3000)]


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    with pytest.raises(InvalidInput, match="wanted a file, got a pipe"):
        read(path, "user")


def test_an_unreadable_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.csv: cannot be read"):
        read(tmp_path / "nowhere.csv", "user")
