"""A session: prepared statements on one driver connection. Independent of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from core.arrays import IntArray
from storage.dialects import Builder, Dialect, Row
from storage.pipeline import Pipeline


class Session:
    """A cursor that executes prepared statements and raises `StoreError`s."""

    __slots__ = ("_cursor", "_pipeline", "dialect")

    def __init__(self, dialect: Dialect, cursor: Any) -> None:
        self.dialect = dialect
        self._cursor = cursor
        self._pipeline: Pipeline | None = None

    @contextmanager
    def pipelined(self) -> Iterator[None]:
        """A block in which `write` and `command` do not wait: a later statement, or the end, raises their errors."""
        try:
            with self.dialect.pipeline(self._cursor) as self._pipeline:
                yield
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        finally:
            self._pipeline = None

    def _execute(self, sql: str, values: Sequence[Any]) -> Any:
        """Execute a statement and wait for its result, and for those of all before."""
        cursor = self._cursor.execute(sql, values)
        if self._pipeline is not None:
            self._pipeline.wait()
        return cursor

    def _end_statement(self) -> None:
        if self._pipeline is not None:
            self._pipeline.end_statement()

    def command(self, sql: str) -> None:
        """BEGIN, COMMIT or ROLLBACK."""
        try:
            self._cursor.execute(sql)
            self._end_statement()
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def rows(self, builder: Builder, **parameters: Any) -> list[Row]:
        """All rows of a query."""
        statement = self.dialect.prepare(builder)
        try:
            rows: list[Row] = self._execute(statement.sql, statement.values(parameters)).fetchall()
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
            self._execute(statement.sql, statement.values(parameters))
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error
        return int(self._cursor.rowcount)

    def write(self, builder: Builder, rows: Sequence[Row]) -> None:
        """Insert or update rows."""
        if not rows:
            return
        statement = self.dialect.prepare(builder)
        try:
            self.dialect.write(self._cursor, statement, rows)
            self._end_statement()
        except self.dialect.driver_error as error:
            raise self.dialect.failure(error) from error

    def integers(self, builder: Builder, width: int, **parameters: Any) -> IntArray:
        """The (rows, width) result of a query for `width` 64-bit integers."""
        if self._pipeline is not None:  # where the driver cannot copy
            return np.array(self.rows(builder, **parameters), np.int64).reshape(-1, width)
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
