"""Files with flipped bytes or an early end: what is read are rows or bad lines, and what cannot be read a clear error.

Text and Parquet have no checksum of their values, so a flipped byte may be another value. It never is another row: as
many values as were asked for, a line number of its own.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from storage.files import open_rows

NUM_ROWS = 300
NAMES = ("user", "item", "time")
ROWS = [[f"user {i % 7}", f"caf\u00e9 {i * 37 % 101}", 1_700_000_000 + i] for i in range(NUM_ROWS)]
TEXT = "".join(json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) + "\n" for row in ROWS).encode()
FILES = (
    "events.jsonl",
    "events.jsonl.gz",
    "events.jsonl.zst",
    "events.json",
    "events.json.gz",
    "snappy.parquet",
    "zstd.parquet",
    "gzip.parquet",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole file of each format, and an empty folder for damaged ones."""
    folder = tmp_path_factory.mktemp("whole")
    text = folder / "events.jsonl"
    text.write_bytes(TEXT)
    rows = f"SELECT * FROM read_json('{text}', columns = {{user: 'VARCHAR', item: 'VARCHAR', time: 'BIGINT'}})"
    for name in FILES:
        codec = name.partition(".")[0]
        if name.endswith(".parquet"):
            duckdb.execute(f"COPY ({rows}) TO '{folder / name}' (FORMAT parquet, COMPRESSION {codec})")
    duckdb.execute(f"COPY ({rows}) TO '{folder / 'events.jsonl.zst'}' (FORMAT json, COMPRESSION zstd)")
    (folder / "events.json").write_bytes(b"[" + b",\n".join(TEXT.splitlines()) + b"]\n")
    for name in ("events.jsonl", "events.json"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), mtime=0))
    (folder / "damaged").mkdir()
    return folder


def read(path: Path, content: bytes) -> tuple[list[list[object]], int, str]:
    """The rows of a file, how many bad lines it has, and the error that ends it."""
    path.write_bytes(content)
    rows: list[list[object]] = []
    numbers: list[int] = []
    num_bad = 0
    error = ""
    try:
        with open_rows(path) as reader:
            for chunk in reader.chunks(NAMES, size=100):
                rows += [list(row) for row in chunk.rows]
                numbers += [*chunk.lines, *(bad.line for bad in chunk.bad)]
                num_bad += len(chunk.bad)
    except InvalidInput as raised:
        error = str(raised)
        assert error.startswith(str(path))
        assert error.isprintable()
    assert len(numbers) == len(set(numbers))
    assert all(len(row) == len(NAMES) for row in rows)
    return rows, num_bad, error


@pytest.mark.parametrize("name", FILES)
def test_whole_files_of_each_format_are_read(name: str, whole: Path) -> None:
    assert read(whole / "damaged" / name, (whole / name).read_bytes()) == (ROWS, 0, "")


@pytest.mark.parametrize("name", FILES)
@given(st.floats(0, 1, exclude_max=True))
def test_of_a_file_that_was_cut_the_first_rows_are_read(name: str, whole: Path, share: float) -> None:
    content = (whole / name).read_bytes()
    rows, num_bad, error = read(whole / "damaged" / name, content[: int(share * len(content))])
    assert rows == ROWS[: len(rows)]
    assert num_bad <= 1
    assert error or name == "events.jsonl" or len(rows) == NUM_ROWS


def test_a_json_array_cut_between_two_elements_is_damaged(whole: Path) -> None:
    content = (whole / "events.json").read_bytes()
    first = b",\n".join(content.split(b",\n")[:200])
    for cut in (first + b",", first + b",\n  "):
        rows, _, error = read(whole / "damaged" / "events.json", cut)
        assert rows == ROWS[:200]
        assert "events.json: cannot be read after line 200 (its array has no closing bracket" in error


@pytest.mark.parametrize("name", FILES)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
def test_a_file_with_flipped_bits_has_rows_or_an_error(name: str, whole: Path, flips: list[tuple[float, int]]) -> None:
    content = bytearray((whole / name).read_bytes())
    for share, bits in flips:
        content[int(share * len(content))] ^= bits
    rows, num_bad, error = read(whole / "damaged" / name, bytes(content))
    assert error or rows or num_bad
    if name.endswith(".gz") and not error:  # which has a checksum
        assert rows == ROWS
