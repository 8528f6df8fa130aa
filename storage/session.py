"""A session: prepared statements on one driver connection. Independent of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from core.arrays import IntArray
from storage.dialects import Builder, Dialect, Row


class Session:
    """A cursor that executes prepared statements and raises `StoreError`s."""

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
            rows: list[Row] = self._cursor.execute(statement.sql, statement.values(parameters)).fetchall()
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return rows

    def row(self, builder: Builder, **parameters: Any) -> Row | None:
        """The first row of a query, if any."""
        rows = self.rows(builder, **parameters)
        return rows[0] if rows else None

    def run(self, builder: Builder, **parameters: Any) -> int:
        """Execute a statement without a result; returns the number of affected rows."""
        statement = self.dialect.prepare(builder)
        try:
            self._cursor.execute(statement.sql, statement.values(parameters))
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return int(self._cursor.rowcount)

    def write(self, builder: Builder, rows: Sequence[Row]) -> int:
        """Insert or update rows; returns the number of affected rows."""
        if not rows:
            return 0
        statement = self.dialect.prepare(builder)
        try:
            self.dialect.write(self._cursor, statement, rows)
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return int(self._cursor.rowcount)

    def integers(self, builder: Builder, width: int, **parameters: Any) -> IntArray:
        """The (rows, width) result of a query for `width` 64-bit integers."""
        blocks = list(self.integer_blocks(builder, width, **parameters))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def integer_blocks(self, builder: Builder, width: int, **parameters: Any) -> Iterator[IntArray]:
        """The same in blocks of rows, so that a large result is never in memory as a whole."""
        statement = self.dialect.prepare(builder)
        try:
            yield from self.dialect.integer_blocks(self._cursor, statement, statement.values(parameters), width=width)
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def integers_of(self, collected: Any) -> IntArray:
        """(n,) the integers of a value of `Dialect.collected`."""
        return self.dialect.integers_of(collected)

    def array(self, values: Iterable[Any]) -> Any:
        """Integers or strings as a single parameter."""
        return self.dialect.array(values)

    def keys(self, values: Iterable[bytes]) -> Any:
        """16-byte keys as a single parameter."""
        return self.dialect.keys(values)
