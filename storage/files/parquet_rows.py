"""Rows of Parquet files, read by DuckDB in chunks; the line number of a row is its ordinal.

Values become what JSON lines would hold, but times stay `datetime`. A path (`user.id`) reads a field of a struct. Pages
repeat a value as often as they say: a file that stands for far more than a real one of its size is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from core.events.interactions import shorten
from core.imports.rows import Chunk, missing_column
from storage.files.duck import READING_MIB, Unreadable, connect, fetch
from storage.files.lines import damaged
from storage.files.text_rows import MAX_CHUNK_CHARS
from storage.files.unpacking import MAX_RATIO, max_content_bytes

FREE_ROWS = 10_000_000  # that a file may have whatever its size
FREE_VALUES = 30_000_000  # that a column with its lists may have: 7 s of reading; a million items with 20 tags pass
MAX_PER_BYTE = 10  # rows, and values of a column, beyond: of a real event the time alone takes a byte or two
FETCHED_ROWS = 1_000
BYTES_OF_VALUE = 8  # of numbers and times; of a text its characters
CASTS = {"UUID": "VARCHAR", "DECIMAL": "DOUBLE", "BLOB": "VARCHAR"}


class ParquetRows:
    """The rows of one file: `core.imports.rows.RowReader`."""

    description = "Parquet"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.size = path.stat().st_size
        self._num_read = 0
        self._num_bytes = 0  # of the values read
        try:
            columns = chain.from_iterable(self._query("DESCRIBE FROM read_parquet(?)"))
            self._types = {name: type_ for name, type_, *_ in columns}
            self._num_rows: int
            (((self._num_rows,),),) = self._query("SELECT count(*) FROM read_parquet(?)")
        except Unreadable as error:
            msg = f"{self.name}: cannot be read ({error}); check the file"
            raise InvalidInput(msg) from None
        if self._num_rows > max(FREE_ROWS, MAX_PER_BYTE * self.size):
            msg = f"{self.name}: {self._num_rows:,} rows in {self.size:,} bytes repeat a few values; check the file"
            raise InvalidInput(msg)
        self.columns = tuple(self._types)

    @property
    def bytes_read(self) -> int:
        """The share of the rows read so far, as bytes."""
        return self.size * self._num_read // max(self._num_rows, 1)

    def chunks(self, names: Sequence[str], *, optional: Sequence[str] = (), size: int) -> Iterator[Chunk]:
        """As `RowReader.chunks`."""
        selected = ", ".join(map(self._expression, (*names, *optional)))
        query = f"SELECT {selected} FROM read_parquet(?)"  # noqa: S608  names are quoted
        self._check_num_values([*names, *optional])
        rows: list[tuple[Any, ...]] = []
        num_bytes = 0
        try:
            for fetched in self._query(query, size=min(size, FETCHED_ROWS)):
                rows += fetched
                num_bytes += _num_bytes(fetched)
                if len(rows) >= size or num_bytes > MAX_CHUNK_CHARS:
                    self._check_content(num_bytes)
                    yield from self._chunks(rows[:size])
                    rows, num_bytes = rows[size:], 0
        except Unreadable as error:
            yield from self._chunks(rows)
            raise damaged(self.name, error, self._num_read) from None
        yield from self._chunks(rows)

    def _chunks(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Chunk]:
        """The next rows as a chunk; nothing for none."""
        first = self._num_read + 1
        self._num_read += len(rows)
        if rows:
            yield Chunk(list(range(first, first + len(rows))), list(rows), list(rows))

    def _check_num_values(self, paths: Sequence[str]) -> None:
        """Raise `InvalidInput` where a column is said to have more values than that of a real file of this size.

        DuckDB reads no more values than a file says: one that says too few is damaged.
        """
        columns = {path if path in self._types else path.partition(".")[0] for path in paths}
        query = "SELECT path_in_schema, sum(num_values)::BIGINT FROM parquet_metadata(?) GROUP BY ALL"
        try:
            counts = list(chain.from_iterable(self._query(query)))
        except Unreadable as error:
            raise damaged(self.name, error, 0) from None
        for path, num_values in counts:
            column = path if path in columns else path.partition(", ")[0]  # of a list, struct or map: its name first
            if column in columns and num_values > max(FREE_VALUES, MAX_PER_BYTE * self.size):
                msg = (
                    f"{self.name}: {num_values:,} values of {shorten(column)} in {self.size:,} bytes repeat a few; "
                    "check the file, and if they are right, split it"
                )
                raise InvalidInput(msg)

    def _check_content(self, num_bytes: int) -> None:
        """Raise `Unreadable` where the values so far are too many for a file of this size."""
        self._num_bytes += num_bytes
        if self._num_bytes > max_content_bytes(self.size):
            msg = f"its values are more than {MAX_RATIO} times its size"
            raise Unreadable(msg)

    def _query(self, query: str, *, size: int = FETCHED_ROWS) -> Iterator[list[tuple[Any, ...]]]:
        with connect(memory_mib=READING_MIB) as connection:
            yield from fetch(connection, query, [self.name], size=size)

    def _expression(self, path: str) -> str:
        """The SQL of a column or of a field of a struct; raises `InvalidInput` where the file has none."""
        type_ = self._types.get(path) or self._type_of_field(path)
        if type_ is None:
            raise missing_column(self.name, path, self.columns)
        column = _quoted(path) if path in self._types else ".".join(map(_quoted, path.split(".")))
        cast = CASTS.get(type_.partition("(")[0])
        return f"CAST({column} AS {cast})" if cast else column

    def _type_of_field(self, path: str) -> str | None:
        """The type of a field of a struct, from the type of its column as DuckDB spells it."""
        first, *others = path.split(".")
        if first not in self._types or not others:
            return None
        expression = ".".join(map(_quoted, ["value", *others]))
        query = f"SELECT typeof({expression}) FROM (SELECT CAST(NULL AS {self._types[first]}) AS value)"  # noqa: S608
        with connect() as connection:
            import duckdb

            try:
                ((type_,),) = connection.execute(query).fetchall()
            except duckdb.Error:
                return None
        return str(type_)


def _num_bytes(values: Iterable[Any]) -> int:
    """About the bytes of values, and of those in lists, maps and structs."""
    total = 0
    for value in values:
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, list | tuple):
            total += _num_bytes(value)
        else:
            total += _num_bytes(value.values()) if isinstance(value, dict) else BYTES_OF_VALUE
    return total


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
