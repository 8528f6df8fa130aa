"""DuckDB: queries whose results are read in chunks, without extensions from the network. Knows no rows of ours."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.files.memory import memory_limited

if TYPE_CHECKING:
    import duckdb

FETCHED_ROWS = 128  # of at most a line's length each
MAX_LINE_BYTES = 1 << 22
TAIL_BYTES = 1 << 16
BLOCK_BYTES = 1 << 20
READING_MIB = 512  # of memory: DuckDB's own buffers, such as a page of Parquet or a line
FETCHING_MIB = 1_536  # more than before, with what those buffers do not count, such as lists and repeated texts
_LINES = (
    "read_csv(?, compression = ?, delim = '\x1e', quote = '', escape = '', header = false, auto_detect = false, "
    f"encoding = 'latin-1', max_line_size = {MAX_LINE_BYTES}, columns = {{'line': 'VARCHAR'}}, "
    "strict_mode = false, null_padding = true)"
)
_OBJECTS = f"read_json_objects(?, compression = ?, format = 'array', maximum_object_size = {MAX_LINE_BYTES})"


class Unreadable(ValueError):
    """Content that cannot be read on; says why."""


def connect(*, memory_mib: int | None = None) -> duckdb.DuckDBPyConnection:
    """A database in memory: one thread (order of rows, and a core for others), no downloads.

    `memory_mib`: without files beside memory; None: most of the machine's, and a folder for temporary files.
    """
    import duckdb

    config: dict[str, Any] = {
        "threads": 1,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": True,
    }
    limits = {} if memory_mib is None else {"memory_limit": f"{memory_mib}MiB", "temp_directory": ""}
    connection = duckdb.connect(config=config | limits)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET streaming_buffer_size = '16KiB'")  # rows before a damage come first
    return connection


def fetch(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any], *, size: int = FETCHED_ROWS
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a query in lists of `size`; raises `Unreadable` with DuckDB's reason, or if it takes much memory."""
    import duckdb

    try:
        with memory_limited(FETCHING_MIB):
            result = connection.execute(query, parameters)
            rows = result.fetchmany(size)
        while rows:
            yield rows
            with memory_limited(FETCHING_MIB):
                rows = result.fetchmany(size)
    except (duckdb.OutOfMemoryException, MemoryError):
        msg = f"it needs more than {FETCHING_MIB:,} MiB of memory; are its values as long as they should be?"
        raise Unreadable(msg) from None
    except duckdb.Error as error:
        raise Unreadable(_reason(error)) from None


def lines_of(path: Path, *, compression: str) -> Iterator[bytes]:
    """The lines of a compressed file, each with its end."""
    with connect(memory_mib=READING_MIB) as connection:
        for rows in fetch(connection, f"FROM {_LINES}", [str(path), compression]):
            yield "".join(f"{line or ''}\n" for (line,) in rows).encode("latin-1")


def elements_of(path: Path, *, compression: str) -> Iterator[bytes]:
    """The elements of a JSON array, each as a line."""
    with connect(memory_mib=READING_MIB) as connection:
        for rows in fetch(connection, f"SELECT json FROM {_OBJECTS}", [str(path), compression]):  # noqa: S608  a constant
            yield "".join(f"{text.translate(_ONE_LINE)}\n" for (text,) in rows).encode()
    if not _is_closed(path, compression=compression):  # DuckDB takes one that was cut after an element
        msg = "its array has no closing bracket, so the file may have been cut"
        raise Unreadable(msg)


def _reason(error: Exception) -> str:
    """The first line of an error of DuckDB, which may quote any bytes of the file."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "".join(char if char.isprintable() else "\ufffd" for char in lines[0]).strip()


def _is_closed(path: Path, *, compression: str) -> bool:
    """Whether an array ends with a bracket and white space, as far as can be told.

    gzip is read once more, as DuckDB does not check its checksum; raises an error of `gzip` where that is wrong.
    """
    end = b""
    if compression == "gzip":
        with gzip.open(path) as unpacked:
            while block := unpacked.read(BLOCK_BYTES):
                end = (end + block)[-TAIL_BYTES:]
    elif compression == "uncompressed":
        with path.open("rb") as stream:
            stream.seek(-min(TAIL_BYTES, path.stat().st_size), SEEK_END)
            end = stream.read()
    return not end.strip() or end.rstrip().endswith(b"]")


_ONE_LINE = {ord(end): " " for end in "\r\n"}  # between values: within them JSON has them escaped
