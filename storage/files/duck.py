"""DuckDB: queries whose results are read in chunks, without extensions from the network. Knows no rows of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput

if TYPE_CHECKING:
    import duckdb

FETCHED_LINES = 1_000
MAX_LINE_BYTES = 1 << 24
_AS_LINES = (
    "read_csv(?, compression = ?, delim = '\x1e', quote = '', escape = '', header = false, auto_detect = false, "
    f"encoding = 'latin-1', max_line_size = {MAX_LINE_BYTES}, columns = {{'line': 'VARCHAR'}}, "
    "strict_mode = false, null_padding = true)"
)


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory: one thread (order of rows, and a core for others), no downloads."""
    import duckdb

    connection = duckdb.connect(
        config={
            "threads": 1,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": True,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def fetch(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any], *, size: int
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a query in lists of `size`; raises `InvalidInput` with DuckDB's reason."""
    import duckdb

    try:
        result = connection.execute(query, parameters)
        while rows := result.fetchmany(size):
            yield rows
    except duckdb.Error as error:
        msg = f"{parameters[0]}: cannot be read ({str(error).splitlines()[0]}); check the file"
        raise InvalidInput(msg) from None


def lines_of(path: Path, *, compression: str) -> Iterator[bytes]:
    """The lines of a compressed file, each with its end."""
    with connect() as connection:
        query = f"SELECT line FROM {_AS_LINES}"  # noqa: S608  a constant
        for rows in fetch(connection, query, [str(path), compression], size=FETCHED_LINES):
            yield "".join(f"{line or ''}\n" for (line,) in rows).encode("latin-1")
