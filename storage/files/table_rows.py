"""Rows of Parquet files and of JSON arrays, read by DuckDB in chunks; the line number of a row is its ordinal.

Values become what JSON lines would hold, but times stay `datetime`. A path (`user.id`) reads a field of a struct.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.imports.rows import Chunk, missing_column
from storage.files.duck import connect, fetch

SOURCES = {
    "parquet": "read_parquet(?)",
    "json": "read_json(?, format = 'array', maximum_object_size = 67108864, sample_size = -1)",
}
TITLES = {"parquet": "Parquet", "json": "a JSON array"}
CASTS = {"UUID": "VARCHAR", "DECIMAL": "DOUBLE", "BLOB": "VARCHAR"}


class TableRows:
    """The rows of one file: `core.imports.rows.RowReader`."""

    def __init__(self, path: Path, kind: str) -> None:
        self.name = str(path)
        self.size = path.stat().st_size
        self.description = TITLES[kind]
        self._source = SOURCES[kind]
        self._may_lack = kind == "json"
        self._num_read = 0
        self._types = {name: type_ for name, type_, *_ in self._query(f"DESCRIBE FROM {self._source}")}
        ((num_rows,),) = self._query(f"SELECT count(*) FROM {self._source}")  # noqa: S608  a constant
        self._num_rows: int = num_rows
        self.columns = tuple(self._types)

    @property
    def bytes_read(self) -> int:
        """The share of the rows read so far, as bytes."""
        return self.size * self._num_read // max(self._num_rows, 1)

    def chunks(
        self, names: Sequence[str], *, optional: Sequence[str] = (), size: int, multiline: bool = False
    ) -> Iterator[Chunk]:
        """As `RowReader.chunks`."""
        selected = [*map(self._expression, names), *(self._expression(name, self._may_lack) for name in optional)]
        query = f"SELECT {', '.join(selected)} FROM {self._source}"  # noqa: S608  names are quoted
        with connect() as connection:
            for rows in fetch(connection, query, [self.name], size=size):
                first = self._num_read + 1
                self._num_read += len(rows)
                yield Chunk(list(range(first, first + len(rows))), list(rows), list(rows))

    def _query(self, query: str) -> list[tuple[Any, ...]]:
        with connect() as connection:
            return [row for rows in fetch(connection, query, [self.name], size=1_000) for row in rows]

    def _expression(self, path: str, may_lack: bool = False) -> str:
        """The SQL of a column or of a field of a struct; raises `InvalidInput` where the file has none."""
        type_ = self._types.get(path) or self._type_of_field(path)
        if type_ is None:
            if may_lack:
                return "NULL"
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
        with connect() as connection:
            import duckdb

            try:
                ((type_,),) = connection.execute(
                    f"SELECT typeof({expression}) FROM (SELECT CAST(NULL AS {self._types[first]}) AS value)"  # noqa: S608
                ).fetchall()
            except duckdb.Error:
                return None
        return str(type_)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
