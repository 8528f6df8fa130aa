"""Statements run on one driver connection inside one transaction. Knows nothing about what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from core.arrays import IntArray
from storage.dialects import Builder, Dialect, Row


class Session:
    """A cursor that speaks prepared statements and raises our errors."""

    __slots__ = ("_cursor", "dialect")

    def __init__(self, dialect: Dialect, cursor: Any) -> None:
        self.dialect = dialect
        self._cursor = cursor

    def command(self, sql: str) -> None:
        """BEGIN, COMMIT or ROLLBACK."""
        try:
            self._cursor.execute(sql)
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def rows(self, builder: Builder, **parameters: Any) -> list[Row]:
        """All rows of a query."""
        statement = self.dialect.prepare(builder)
        try:
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
            self._cursor.execute(statement.sql, statement.values(parameters))
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return int(self._cursor.rowcount)

    def write(self, builder: Builder, rows: Sequence[Row]) -> int:
        """Insert or update many rows; how many it were."""
        if not rows:
            return 0
        statement = self.dialect.prepare(builder)
        try:
            self.dialect.write(self._cursor, statement, rows)
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return int(self._cursor.rowcount)

    def integers(self, builder: Builder, width: int, **parameters: Any) -> IntArray:
        """The (rows, width) result of a query of `width` 64-bit integers."""
        statement = self.dialect.prepare(builder)
        try:
            return self.dialect.integers(self._cursor, statement, statement.values(parameters), width=width)
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def array(self, values: Iterable[Any]) -> Any:
        """Integers or strings as one parameter."""
        return self.dialect.array(values)

    def keys(self, values: Iterable[bytes]) -> Any:
        """16-byte keys as one parameter."""
        return self.dialect.keys(values)
