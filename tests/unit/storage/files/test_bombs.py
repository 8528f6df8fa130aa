"""Small files that stand for very much: they end with an error that says so, and what comes before it is read.

pyarrow is imported by the tests: it starts a thread, and test processes are forks of one that has none.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from core.errors import InvalidInput
from core.imports.rows import Chunk, DamagedFile
from storage.files import duck, lines, open_rows, parquet_rows, text_rows, unpacking

if TYPE_CHECKING:
    import pyarrow as pa

MAX_FILE_BYTES = 100_000


def read(path: Path, *names: str, size: int = 1000) -> tuple[list[Chunk], str]:
    """All chunks of a small file, and the error that ends them."""
    assert path.stat().st_size < MAX_FILE_BYTES
    chunks: list[Chunk] = []
    try:
        with open_rows(path) as reader:
            chunks.extend(reader.chunks(names, size=size))
    except DamagedFile as error:
        return chunks, str(error)
    return chunks, ""


def num_rows(chunks: list[Chunk]) -> int:
    return sum(len(chunk.rows) for chunk in chunks)


def packed(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


def repeated(text: str, num: int) -> pa.Array:
    """A column that says once what all of its rows are."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(num, np.int32)), pa.array([text]))


def one_list(num: int) -> pa.Array:
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array([0, num], pa.int32()), pa.array(np.zeros(num, np.int8)))


BOMBS = {
    "a text of 1 MiB, 100,000 times": lambda: {"user": repeated("x" * 2**20, 100_000)},
    "a text of 80 MiB": lambda: {"user": [None, "x" * (80 << 20)]},
    "a list of 10,000,000 numbers": lambda: {"user": one_list(10_000_000)},
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_values_that_need_much_memory_end_a_parquet_file(
    bomb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(duck, "FETCHING_MIB", 64)
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table(BOMBS[bomb]()), path, compression="zstd")
    chunks, error = read(path, "user")
    assert "bomb.parquet: cannot be read after line 0 (it needs more than 64 MiB of memory" in error
    assert not chunks


def test_texts_that_repeat_the_one_before_them_end_a_parquet_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(duck, "FETCHING_MIB", 64)
    path, num = tmp_path / "bomb.parquet", 2_000
    table = pa.table({"user": ["x" * 100_000] * num})
    encoding = {"user": "DELTA_BYTE_ARRAY"}
    pq.write_table(
        table, path, use_dictionary=False, column_encoding=encoding, data_page_size=2**30, compression="zstd"
    )
    assert "it needs more than 64 MiB of memory" in read(path, "user")[1]


def test_rows_before_a_bomb_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(duck, "FETCHING_MIB", 64)
    path, schema = tmp_path / "bomb.parquet", pa.schema([("user", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        writer.write_table(pa.table({"user": ["ann"] * 5_000}, schema=schema))
        writer.write_table(pa.table({"user": ["x" * (80 << 20)]}, schema=schema))
    chunks, error = read(path, "user")
    assert num_rows(chunks) >= 5_000 - parquet_rows.FETCHED_ROWS
    assert f"cannot be read after line {num_rows(chunks)} (" in error


def test_a_parquet_file_of_more_rows_than_a_real_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "FREE_ROWS", 1_000)
    path = tmp_path / "rows.parquet"
    duckdb.execute(f"COPY (SELECT 'ann' AS user FROM range(100000)) TO '{path}' (FORMAT parquet)")
    with pytest.raises(InvalidInput, match=r"rows\.parquet: 100,000 rows in \d+ bytes repeat a few values; check"):
        read(path, "user")


def test_a_parquet_column_of_more_values_than_a_real_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "FREE_VALUES", 100_000)
    path = tmp_path / "lists.parquet"
    query = "SELECT 'ann' AS user, range(1000) AS tags, {'list': range(1000)} AS made FROM range(1000)"
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    for column in ("tags", "made.list"):
        with pytest.raises(InvalidInput, match=r"lists\.parquet: 1,000,000 values of .* in [\d,]+ bytes .* split it"):
            read(path, "user", column)
    chunks, error = read(path, "user")
    assert (num_rows(chunks), error) == (1_000, "")


def test_a_small_file_with_lists_of_40_million_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    query = "SELECT list_resize([0::TINYINT], 100000, 0::TINYINT) AS user FROM range(400)"
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    with pytest.raises(InvalidInput, match="40,000,000 values of 'user' in"):
        read(path, "user")


def test_a_real_file_of_values_that_repeat_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "FREE_ROWS", 1_000)
    monkeypatch.setattr(parquet_rows, "FREE_VALUES", 1_000)
    path, num = tmp_path / "events.parquet", 50_000
    query = f"""
        SELECT 'user ' || i // 200 AS user, 'item ' || i % 3 AS item, 'view' AS type, 1700000000 + i // 10 AS time,
            ['web', 'shop'] AS tags FROM range({num}) events(i)
    """
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    chunks, error = read(path, "user", "item", "type", "time", "tags")
    assert (num_rows(chunks), error) == (num, "")


def test_values_far_larger_than_a_parquet_file_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(unpacking, "FREE_BYTES", 1_000)
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"user": repeated("x" * 1000, 5_000)}), path)
    chunks, error = read(path, "user", size=100)
    assert "its values are more than 250 times its size" in error
    assert 0 < num_rows(chunks) < 5_000


def test_a_parquet_schema_nested_deeply_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column: pa.Array = pa.array([1], pa.int8())
    for _ in range(600):
        column = pa.StructArray.from_arrays([column], ["a"])
    path = tmp_path / "deep.parquet"
    pq.write_table(pa.table({"user": column}), path)
    with pytest.raises(InvalidInput, match=r"deep\.parquet: cannot be read"):
        read(path, "user")


@pytest.mark.parametrize("name", ["f.csv.gz", "f.jsonl.gz"])
def test_a_chunk_of_long_rows_has_fewer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, limit in (text_rows, "MAX_CHUNK_CHARS"), (text_rows, "MAX_TAKEN_CHARS"), (lines, "MAX_TAKEN_CHARS"):
        monkeypatch.setattr(module, limit, 20_000)
    row = {"user": "ann", "item": "x" * 1_000}
    line = json.dumps(row) if "json" in name else ",".join(row.values())
    head = "" if "json" in name else "user,item\n"
    chunks, error = read(packed(tmp_path / name, (head + 200 * f"{line}\n").encode()), "user", "item")
    assert [list(values) for chunk in chunks for values in chunk.rows] == [["ann", row["item"]]] * 200
    assert max(len(chunk.rows) for chunk in chunks) < 50
    assert not error


def test_lines_that_cannot_be_decoded_come_in_chunks_too(tmp_path: Path) -> None:
    chunks, _ = read(packed(tmp_path / "f.csv.gz", b"user,item\n" + b"\xff,x\n" * 5_000), "user", "item", size=1_000)
    assert [len(chunk.bad) for chunk in chunks] == [1_000] * 5


def test_quotes_that_are_never_closed_cost_a_few_lines_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_ROW_LINES", 10)
    path = packed(tmp_path / "f.csv.gz", b"user,item\nann,x\n" + b'a"b,"c\n' * 3_000)
    chunks, _ = read(path, "user", "item", size=10_000)
    reasons = {bad.reason for chunk in chunks for bad in chunk.bad}
    assert reasons == {"a quote is opened and not closed; close or remove it"}
    rows = [list(row) for chunk in chunks for row in chunk.rows]
    assert rows[0] == ["ann", "x"]
    assert sum(len(chunk.bad) for chunk in chunks) > 2_900


def test_text_that_unpacks_to_far_more_than_its_size_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 18)
    path = packed(tmp_path / "f.csv.gz", b"user,item\n" + b"ann,x\n" * 300_000)
    chunks, error = read(path, "user", "item", size=50_000)
    assert "it unpacks to more than 250 times its size; if that is right, unpack it before" in error
    assert 40_000 < num_rows(chunks) < 300_000


def test_a_line_without_end_ends_a_zstd_file(tmp_path: Path) -> None:
    path = tmp_path / "f.csv.zst"
    query = "SELECT 'ann' AS user UNION ALL SELECT repeat('x', 20000000)"
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER, COMPRESSION zstd)")
    assert "f.csv.zst: cannot be read after line" in read(path, "user")[1]


def test_an_object_of_a_json_array_that_is_too_large_ends_it(tmp_path: Path) -> None:
    objects = b'[{"user": "ann"}, {"user": "' + b"x" * (40 << 20) + b'"}]'
    assert "cannot be read after line" in read(packed(tmp_path / "f.json.gz", objects), "user")[1]


def test_a_json_array_nested_deeply_has_a_bad_row(tmp_path: Path) -> None:
    nested = b"[" * 1_000_000 + b"]" * 1_000_000
    path = packed(tmp_path / "f.json.gz", b'[{"user": "ann"}, {"user": ' + nested + b'}, {"user":\n"bob"}]')
    chunks, error = read(path, "user")
    assert [list(row) for chunk in chunks for row in chunk.rows] == [["ann"], ["bob"]]
    assert [bad.line for chunk in chunks for bad in chunk.bad] == [2]
    assert not error
