"""All that differs between SQLite and PostgreSQL: how sets of values travel and how transactions begin.

Statements are built once with SQLAlchemy Core, compiled to the driver's own text and run on its cursors: an execution
through SQLAlchemy costs about ten times one through the driver, and ingest of one event needs a dozen.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import ARRAY, Engine, any_, bindparam, cast, func, literal, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.sql.schema import Table
from sqlalchemy.types import BigInteger, LargeBinary, Text, TypeEngine

from core.arrays import IntArray
from core.errors import StoreError
from storage.failures import postgres_failure, sqlite_failure

MOST_BITS_APART = 60.0  # of two numbers the smaller one adds nothing that a double could hold
KEY_BYTES = 16  # event keys and hashes of users


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text of a driver, the names of its positional parameters, and those that are always the same."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The parameters in the order of the text."""
        known = {**self.constants, **parameters} if self.constants else parameters
        return [known[name] for name in self.names]


Builder = Callable[["Dialect"], CompilerElement]
Insert = sqlite.Insert | postgresql.Insert
Row = tuple[Any, ...]


class Dialect(ABC):
    """One database's ways. `prepare` compiles each statement once."""

    begin_write: str
    begin_read: str

    def __init__(self, engine: Engine) -> None:
        self._compiler = engine.dialect
        self._prepared: dict[Builder, Statement] = {}
        self.driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    def prepare(self, builder: Builder) -> Statement:
        """The statement that `builder` makes for this database."""
        found = self._prepared.get(builder)
        if found is None:
            compiled: Any = builder(self).compile(dialect=self._compiler)
            constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
            found = Statement(self.spelled(str(compiled)), tuple(compiled.positiontup), constants)
            self._prepared[builder] = found
        return found

    def spelled(self, sql: str) -> str:
        """The compiled text as the driver is given it."""
        return sql

    @abstractmethod
    def cursor(self, connection: Any) -> Any:
        """A cursor of the driver's connection."""

    @abstractmethod
    def is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """The condition that `column` (integers or text) is among the values of parameter `name`, given by `array`."""

    @abstractmethod
    def key_is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """As `is_in` for 16-byte keys, given by `keys`."""

    @abstractmethod
    def contains(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """The condition that the bytes of `column` contain those of parameter `name`."""

    @abstractmethod
    def now_ms(self) -> ColumnElement[int]:
        """The database's clock."""

    @abstractmethod
    def add_log2(self, one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
        """The log2 of the sum of two numbers that are given by their log2."""

    @abstractmethod
    def array(self, values: Iterable[Any]) -> Any:
        """Integers or strings as one parameter."""

    @abstractmethod
    def keys(self, values: Iterable[bytes]) -> Any:
        """16-byte keys as one parameter."""

    @abstractmethod
    def insert(self, table: Table, *names: str) -> Insert:
        """Insert rows handed to `write`; columns in the order of the table."""

    @abstractmethod
    def update(self, table: Table, *names: str, key: str) -> CompilerElement:
        """Update rows handed to `write`: columns in the order of the table, then the key."""

    @abstractmethod
    def write(self, cursor: Any, statement: Statement, rows: Sequence[Row]) -> None:
        """Run a statement of `insert` or `update` for all rows, of which there are some."""

    @abstractmethod
    def integers(self, cursor: Any, statement: Statement, values: Sequence[Any], *, width: int) -> IntArray:
        """The (rows, width) result of a query of `width` 64-bit integers, without an object per value."""

    @abstractmethod
    def failure(self, error: Exception) -> StoreError:
        """The driver's error as ours, saying what to do."""


class SqliteDialect(Dialect):
    """Sets of values travel as JSON (or one long blob), sets of rows through the driver's `executemany`."""

    # The write lock is taken at once: a transaction that first reads and then writes could not be waited for.
    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN DEFERRED"

    def cursor(self, connection: Any) -> Any:
        """The driver's plain cursor."""
        return connection.cursor()

    def is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Among the elements of a JSON list."""
        given = func.json_each(bindparam(name)).table_valued("value")
        return column.in_(select(given.c.value))

    def key_is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Among the slices of one long blob: JSON holds no bytes."""
        joined = bindparam(name, type_=LargeBinary)
        place = select(literal(1).label("start")).cte(f"{name}_places", recursive=True)
        following = place.c.start + KEY_BYTES
        place = place.union_all(select(following).where(following < func.length(joined)))
        return column.in_(select(func.substr(joined, place.c.start, KEY_BYTES)))

    def contains(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """By SQLite's `instr`, which counts bytes."""
        return func.instr(column, bindparam(name)) > 0

    def now_ms(self) -> ColumnElement[int]:
        """By SQLite's Julian days, counted from 1970."""
        return cast((func.julianday("now") - literal(2440587.5)) * 86_400_000, BigInteger)

    def add_log2(self, one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
        """By a function of ours (storage.engine): not every SQLite has logarithms."""
        return func.add_log2(one, other)

    def array(self, values: Iterable[Any]) -> Any:
        """As a JSON list."""
        return json.dumps(list(values))

    def keys(self, values: Iterable[bytes]) -> Any:
        """As one long blob."""
        return b"".join(values)

    def insert(self, table: Table, *names: str) -> Insert:
        """One row at a time, inside the driver."""
        return sqlite.insert(table).values({name: bindparam(f"new_{name}") for name in names})

    def update(self, table: Table, *names: str, key: str) -> CompilerElement:
        """One row at a time, inside the driver."""
        new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        return update(table).where(table.c[key] == bindparam("key_of_row")).values(new)

    def write(self, cursor: Any, statement: Statement, rows: Sequence[Row]) -> None:
        """Loops inside the driver: about 3 µs a row."""
        cursor.executemany(statement.sql, rows)

    def integers(self, cursor: Any, statement: Statement, values: Sequence[Any], *, width: int) -> IntArray:
        """Straight from the driver's rows into one array."""
        found = cursor.execute(statement.sql, values)
        flat = np.fromiter(chain.from_iterable(found), np.int64)
        return flat.reshape(-1, width)

    def failure(self, error: Exception) -> StoreError:
        """By the result code's name."""
        return sqlite_failure(error)


class PostgresDialect(Dialect):
    """Sets of values and of rows travel as arrays, unnested by one statement."""

    begin_write = "BEGIN"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

    def spelled(self, sql: str) -> str:
        """Parameters in binary: the driver quotes each element of a text array with regular expressions."""
        return sql.replace("%s", "%b")

    def cursor(self, connection: Any) -> Any:
        """A cursor that gets results in binary: integers and bytes need no parsing."""
        return connection.cursor(binary=True)

    def is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Any of an array."""
        return column == any_(_array_parameter(name, column.type))

    def key_is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Any of an array."""
        return column == any_(_array_parameter(name, LargeBinary()))

    def contains(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """By `position`, which is defined for bytes as well."""
        return func.pg_catalog.position(column, cast(bindparam(name), LargeBinary)) > 0

    def now_ms(self) -> ColumnElement[int]:
        """By the server's clock as it goes on inside a transaction."""
        return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)

    def add_log2(self, one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
        """The larger, and what the smaller adds; the server refuses powers too small for a double."""
        apart = func.least(func.abs(one - other), literal_column(str(MOST_BITS_APART)))
        more = func.ln(literal_column("1") + func.power(literal_column("2.0"), -apart))
        return func.greatest(one, other) + more * literal_column(str(1 / math.log(2)))

    def array(self, values: Iterable[Any]) -> Any:
        """As a list."""
        return list(values)

    def keys(self, values: Iterable[bytes]) -> Any:
        """As a list."""
        return list(values)

    def insert(self, table: Table, *names: str) -> Insert:
        """All rows at once, from one array per column."""
        return postgresql.insert(table).from_select(list(names), select(*_unnested(table, names).c))

    def update(self, table: Table, *names: str, key: str) -> CompilerElement:
        """All rows at once, joined with one array per column."""
        given = _unnested(table, (*names, key))
        return update(table).where(table.c[key] == given.c[key]).values({name: given.c[name] for name in names})

    def write(self, cursor: Any, statement: Statement, rows: Sequence[Row]) -> None:
        """One statement, one array per column."""
        cursor.execute(statement.sql, [list(column) for column in zip(*rows, strict=True)])

    def integers(self, cursor: Any, statement: Statement, values: Sequence[Any], *, width: int) -> IntArray:
        """By binary COPY, whose rows of 64-bit integers all have one width: a signature, the rows, a trailer."""
        with cursor.copy(f"COPY ({statement.sql}) TO STDOUT (FORMAT BINARY)", values) as copy:
            packed = b"".join(copy)
        signature, trailer = 19, 2
        row = np.dtype([("width", ">i2"), ("columns", [("size", ">i4"), ("value", ">i8")], (width,))])
        rows = np.frombuffer(packed[signature:-trailer], row)
        return rows["columns"]["value"].astype(np.int64)

    def failure(self, error: Exception) -> StoreError:
        """By SQLSTATE."""
        return postgres_failure(error)


def _array_parameter(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """A list of the driver as an array of the server; the server can't compare two collations, so text goes without."""
    element: TypeEngine[Any] = kind
    if isinstance(kind, Text):
        element = Text()
    elif isinstance(kind, BigInteger):
        element = BigInteger()
    return cast(bindparam(name), ARRAY(element))


def _unnested(table: Table, names: Sequence[str]) -> Any:
    arrays = [_array_parameter(f"new_{name}", table.c[name].type) for name in names]
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


def dialect_of(engine: Engine) -> Dialect:
    """The ways of the engine's database."""
    return SqliteDialect(engine) if engine.dialect.name == "sqlite" else PostgresDialect(engine)
