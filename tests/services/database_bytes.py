"""The bytes of a database under test, and what an operator runs after an erasure so that none is of the user."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
# A value may be compressed in its file, and bytes are shown in hexadecimal.
STATISTICS = "SELECT tablename, concat(most_common_vals, histogram_bounds, most_common_elems) FROM pg_stats"


class SqliteBytes:
    """Below the data folder, which is searched anyway."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def settle(self) -> None:
        """SQLite keeps no statistics of values unless somebody runs ANALYZE."""

    def rewrite(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def contents(self) -> Iterator[tuple[str, bytes]]:
        yield from ()


class PostgresBytes:
    """Below the server's data directory, without the write-ahead log and the databases of other tests."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+psycopg", "")

    def _run(self, *statements: str) -> list[tuple[str, ...]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def settle(self) -> None:
        """As after an autovacuum: statistics hold values of columns, and files what is in memory."""
        self._run("ANALYZE", "CHECKPOINT")

    def rewrite(self) -> None:
        """Run what the documentation tells an operator of PostgreSQL to run."""
        (statements,) = re.findall(r"```sql\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
        self._run(*statements.split(";\n")[:-1])

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Each file with its bytes, and each column's statistics as text."""
        ((folder, own),) = self._run(
            "SELECT current_setting('data_directory'), oid::text FROM pg_database WHERE datname = current_database()"
        )
        assert (Path(folder) / "base" / own / "PG_VERSION").exists(), "the server's files are on this machine"
        for path in Path(folder).rglob("*"):
            first, second, *_ = (*path.relative_to(folder).parts, "")
            if first != "pg_wal" and (first != "base" or second == own) and path.is_file():
                with suppress(FileNotFoundError):  # temporary, or of a server that other tests use as well
                    yield "data directory", path.read_bytes()
        for table, values in self._run(STATISTICS):
            yield f"statistics of {table}", values.encode()


def database_bytes(url: str, *, sqlite: Path) -> SqliteBytes | PostgresBytes:
    return PostgresBytes(url) if url.startswith("postgresql") else SqliteBytes(sqlite)
