"""Statements run on one driver connection inside one transaction. Knows nothing about what they mean.

What is written is not waited for: on PostgreSQL the next rows are put together while the server stores the last. The
next read or the commit waits for all of it, and raises what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from core.history import IntArray
from storage.dialects import Builder, Dialect, Row


class Session:
    """A cursor that speaks prepared statements and raises our errors."""

    __slots__ = ("_cursor", "_pipeline", "dialect")

    def __init__(self, dialect: Dialect, cursor: Any) -> None:
        self.dialect = dialect
        self._cursor = cursor
        self._pipeline: AbstractContextManager[object] | None = None

    def command(self, sql: str) -> None:
        """BEGIN, COMMIT or ROLLBACK; done when this returns."""
        try:
            self._cursor.execute(sql)  # behind what was written: the server skips it where that failed
            self._settle()
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def rows(self, builder: Builder, **parameters: Any) -> list[Row]:
        """All rows of a query."""
        statement = self.dialect.prepare(builder)
        try:
            self._settle()
            found: list[Row] = self._cursor.execute(statement.sql, statement.values(parameters)).fetchall()
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return found

    def row(self, builder: Builder, **parameters: Any) -> Row | None:
        """The first row of a query."""
        found = self.rows(builder, **parameters)
        return found[0] if found else None

    def run(self, builder: Builder, **parameters: Any) -> int:
        """Run a statement that returns nothing; how many rows it touched."""
        statement = self.dialect.prepare(builder)
        try:
            self._settle()
            self._cursor.execute(statement.sql, statement.values(parameters))
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return int(self._cursor.rowcount)

    def write(self, builder: Builder, rows: Sequence[Row]) -> None:
        """Insert or update many rows."""
        statement = self.dialect.prepare(builder)
        try:
            if self._pipeline is None:
                pipeline = self.dialect.pipeline(self._cursor)
                pipeline.__enter__()
                self._pipeline = pipeline
            self.dialect.write(self._cursor, statement, rows)
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def integers(self, builder: Builder, width: int, **parameters: Any) -> IntArray:
        """The (rows, width) result of a query of `width` 64-bit integers."""
        statement = self.dialect.prepare(builder)
        try:
            self._settle()
            return self.dialect.integers(self._cursor, statement, statement.values(parameters), width=width)
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def close(self) -> None:
        """Leave the connection fit to be rolled back, whatever was on its way."""
        with suppress(self.dialect.driver_error):
            self._settle()

    def _settle(self) -> None:
        """Wait for what was written; the driver's error where it failed."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.__exit__(None, None, None)

    def array(self, values: Iterable[Any]) -> Any:
        """Integers or strings as one parameter."""
        return self.dialect.array(values)

    def keys(self, values: Iterable[bytes]) -> Any:
        """16-byte keys as one parameter."""
        return self.dialect.keys(values)
