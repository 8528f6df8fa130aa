"""The differences between SQLite and PostgreSQL: how sets of values are passed and how transactions begin.

Statements are built with SQLAlchemy Core, compiled once to the driver's SQL and executed on its cursors: executing
through SQLAlchemy costs about ten times as much, and ingesting one event takes a dozen statements.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, ClassVar

import numpy as np
from sqlalchemy import (
    ARRAY,
    Engine,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.sql.schema import Table
from sqlalchemy.types import BigInteger, LargeBinary, Text, TypeEngine

from core.arrays import IntArray
from core.errors import StoreError
from storage.failures import postgres_failure, sqlite_failure
from storage.pipeline import Pipeline, pipeline_on
from storage.postgres_arrays import packed

MAX_LOG2_DIFFERENCE = 60.0  # beyond it the smaller addend is below the precision of a double
BLOCK_ROWS = 65_536  # of a result that is read in blocks
COPY_SIGNATURE_BYTES = 19
KEY_BYTES = 16  # event keys and hashes of users


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text for a driver, the names of its positional parameters, and the values of constant ones."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The parameter values in the order of their placeholders."""
        named = {**self.constants, **parameters} if self.constants else parameters
        return [named[name] for name in self.names]


@dataclass(frozen=True, slots=True)
class ParameterRows:
    """The columns of rows that are parameters: their number from 0, a text and some bytes."""

    number: ColumnElement[int]
    text: ColumnElement[str]
    part: ColumnElement[bytes]


Builder = Callable[["Dialect"], CompilerElement]
Insert = sqlite.Insert | postgresql.Insert
Row = tuple[Any, ...]


class Dialect(ABC):
    """How one database is used. `prepare` compiles each statement once for all stores of a process."""

    begin_write: str
    begin_read: str
    _prepared: ClassVar[dict[tuple[type[Dialect], Builder], Statement]] = {}

    def __init__(self, engine: Engine) -> None:
        self._compiler = engine.dialect
        self.driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    def prepare(self, builder: Builder) -> Statement:
        """The compiled statement of `builder`, cached."""
        statement = self._prepared.get((type(self), builder))
        if statement is None:
            compiled: Any = builder(self).compile(dialect=self._compiler)
            constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
            statement = Statement(self.driver_sql(str(compiled)), tuple(compiled.positiontup), constants)
            self._prepared[type(self), builder] = statement
        return statement

    def driver_sql(self, sql: str) -> str:
        """The compiled SQL in the form that the driver takes."""
        return sql

    @abstractmethod
    def cursor(self, connection: Any) -> Any:
        """A cursor of the driver's connection."""

    @abstractmethod
    def is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """The condition that `column` (integers or text) is in parameter `name`, a value of `array`."""

    @abstractmethod
    def key_is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """The condition that `column` (16-byte keys) is in parameter `name`, a value of `keys`."""

    @abstractmethod
    def contains(self, column: ColumnElement[bytes], part: ColumnElement[bytes]) -> ColumnElement[bool]:
        """The condition that `column` contains the bytes of `part`."""

    @abstractmethod
    def pairs(self, texts: str, parts: str, *, part_bytes: int) -> ParameterRows:
        """The rows of two parameters: `texts` a value of `array`, `parts` one of `keys`, `part_bytes` each."""

    @abstractmethod
    def collected(self, column: ColumnElement[int], *primary_key: ColumnElement[int]) -> ColumnElement[Any]:
        """The aggregate of the integers in `column` by the table's primary key, a value that `integers_of` reads."""

    @abstractmethod
    def integers_of(self, collected: Any) -> IntArray:
        """(n,) the integers of a value of `collected`, in its order."""

    @abstractmethod
    def now_ms(self) -> ColumnElement[int]:
        """The current time by the database's clock."""

    @abstractmethod
    def add_log2(self, left: ColumnElement[float], right: ColumnElement[float]) -> ColumnElement[float]:
        """log2(2**left + 2**right)."""

    @abstractmethod
    def array(self, values: Iterable[Any]) -> Any:
        """Integers or strings as a single parameter."""

    @abstractmethod
    def keys(self, values: Iterable[bytes]) -> Any:
        """16-byte keys as a single parameter."""

    @abstractmethod
    def pipeline(self, cursor: Any) -> AbstractContextManager[Pipeline | None]:
        """A block in which statements need not wait for those before; its value is None if they do."""

    @abstractmethod
    def new_keys(self, table: Table, num: str) -> CompilerElement:
        """A query for integer keys that no row of `table` has, nor had; `num`: the parameter that says how many."""

    @abstractmethod
    def insert(self, table: Table, *names: str) -> Insert:
        """An INSERT for `write`; columns in the order of the table."""

    @abstractmethod
    def update(self, table: Table, *names: str, key: str) -> CompilerElement:
        """An UPDATE for `write`: columns in the order of the table, then the key."""

    @abstractmethod
    def write(self, cursor: Any, statement: Statement, rows: Sequence[Row]) -> None:
        """Execute a statement of `insert` or `update` for one or more rows."""

    @abstractmethod
    def integer_blocks(
        self, cursor: Any, statement: Statement, values: Sequence[Any], *, width: int
    ) -> Iterator[IntArray]:
        """The result of a query for `width` 64-bit integers as (rows, width) blocks of at most about `BLOCK_ROWS`."""

    @abstractmethod
    def failure(self, error: Exception) -> StoreError:
        """The `StoreError` for a driver's error; its message says what to do."""


class SqliteDialect(Dialect):
    """Sets of values are passed as JSON (or one blob), sets of rows by the driver's `executemany`."""

    # Takes the write lock at once: a transaction that reads before it writes could fail instead of waiting.
    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN DEFERRED"

    def cursor(self, connection: Any) -> Any:
        """The driver's cursor."""
        return connection.cursor()

    def is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """In the elements of a JSON array."""
        elements = func.json_each(bindparam(name)).table_valued("value")
        return column.in_(select(elements.c.value))

    def key_is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """In the slices of one blob: JSON cannot hold bytes."""
        blob = bindparam(name, type_=LargeBinary)
        slices = select(literal(1).label("start")).cte(f"{name}_slices", recursive=True)
        next_start = slices.c.start + KEY_BYTES
        slices = slices.union_all(select(next_start).where(next_start < func.length(blob)))
        return column.in_(select(func.substr(blob, slices.c.start, KEY_BYTES)))

    def contains(self, column: ColumnElement[bytes], part: ColumnElement[bytes]) -> ColumnElement[bool]:
        """By SQLite's `instr`, which compares bytes."""
        return func.instr(column, part) > 0

    def pairs(self, texts: str, parts: str, *, part_bytes: int) -> ParameterRows:
        """The elements of a JSON array, with slices of a blob."""
        elements = func.json_each(bindparam(texts)).table_valued("key", "value", name="pairs").c
        blob = bindparam(parts, type_=LargeBinary)
        return ParameterRows(elements.key, elements.value, func.substr(blob, elements.key * part_bytes + 1, part_bytes))

    def collected(self, column: ColumnElement[int], *primary_key: ColumnElement[int]) -> ColumnElement[Any]:
        """Text: integers with commas between them. Rows are read in the order of the key, which clusters the table."""
        return func.group_concat(column)

    def integers_of(self, collected: Any) -> IntArray:
        """Parsed by numpy, in C."""
        return np.fromstring(collected or "", np.int64, sep=",")

    def now_ms(self) -> ColumnElement[int]:
        """By SQLite's Julian day, less that of 1970-01-01."""
        return cast((func.julianday("now") - literal(2440587.5)) * 86_400_000, BigInteger)

    def add_log2(self, left: ColumnElement[float], right: ColumnElement[float]) -> ColumnElement[float]:
        """By a user-defined function (see `storage.engine`): not every SQLite build has logarithms."""
        return func.add_log2(left, right)

    def array(self, values: Iterable[Any]) -> Any:
        """As a JSON array."""
        return json.dumps(list(values))

    def keys(self, values: Iterable[bytes]) -> Any:
        """As one blob."""
        return b"".join(values)

    def pipeline(self, cursor: Any) -> AbstractContextManager[None]:
        """There is nobody to wait for."""
        return nullcontext()

    def new_keys(self, table: Table, num: str) -> CompilerElement:
        """After the highest key that AUTOINCREMENT has noted. A write transaction is alone."""
        noted = text("SELECT seq FROM sqlite_sequence WHERE name = :name").bindparams(name=table.name)
        newest = func.coalesce(noted.columns(column("seq", BigInteger)).scalar_subquery(), 0)
        numbers = select(literal(1).label("number")).cte("numbers", recursive=True)
        following = numbers.c.number + 1
        numbers = numbers.union_all(select(following).where(following <= bindparam(num, type_=BigInteger)))
        return select(newest + numbers.c.number)

    def insert(self, table: Table, *names: str) -> Insert:
        """For one row; the driver repeats it."""
        return sqlite.insert(table).values({name: bindparam(f"new_{name}") for name in names})

    def update(self, table: Table, *names: str, key: str) -> CompilerElement:
        """For one row; the driver repeats it."""
        new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        return update(table).where(table.c[key] == bindparam("key_of_row")).values(new)

    def write(self, cursor: Any, statement: Statement, rows: Sequence[Row]) -> None:
        """By `executemany`: about 3 µs a row."""
        cursor.executemany(statement.sql, rows)

    def integer_blocks(
        self, cursor: Any, statement: Statement, values: Sequence[Any], *, width: int
    ) -> Iterator[IntArray]:
        """From the driver's rows."""
        rows = cursor.execute(statement.sql, values)
        while True:
            block = np.fromiter(chain.from_iterable(islice(rows, BLOCK_ROWS)), np.int64).reshape(-1, width)
            yield block
            if len(block) < BLOCK_ROWS:
                return

    def failure(self, error: Exception) -> StoreError:
        """By the name of the result code."""
        return sqlite_failure(error)


class PostgresDialect(Dialect):
    """Sets of values and rows are passed as arrays that the statement unnests."""

    begin_write = "BEGIN"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

    def driver_sql(self, sql: str) -> str:
        """Binary parameters: for text arrays the driver would quote each element with regular expressions."""
        return sql.replace("%s", "%b")

    def cursor(self, connection: Any) -> Any:
        """A cursor with binary results: integers and bytes need no parsing."""
        return connection.cursor(binary=True)

    def is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Any of an array."""
        return column == any_(_array_parameter(name, column.type))

    def key_is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Any of an array."""
        return column == any_(_array_parameter(name, LargeBinary()))

    def contains(self, column: ColumnElement[bytes], part: ColumnElement[bytes]) -> ColumnElement[bool]:
        """By `position`, which is defined for bytes too."""
        return func.pg_catalog.position(column, part) > 0

    def pairs(self, texts: str, parts: str, *, part_bytes: int) -> ParameterRows:
        """Two arrays, unnested together."""
        arrays = (_array_parameter(texts, Text()), _array_parameter(parts, LargeBinary()))
        rows = func.unnest(*arrays).table_valued("text", "part", with_ordinality="number")
        columns = rows.render_derived(name="pairs").c
        return ParameterRows(columns.number - 1, columns.text, columns.part)

    def collected(self, column: ColumnElement[int], *primary_key: ColumnElement[int]) -> ColumnElement[Any]:
        """An array."""
        return func.array_agg(postgresql.aggregate_order_by(column, *primary_key))

    def integers_of(self, collected: Any) -> IntArray:
        """From the driver's list."""
        return np.array(collected or [], np.int64)

    def now_ms(self) -> ColumnElement[int]:
        """By `clock_timestamp`, which advances within a transaction."""
        return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)

    def add_log2(self, left: ColumnElement[float], right: ColumnElement[float]) -> ColumnElement[float]:
        """The larger one plus log2(1 + 2**-difference); the server rejects powers that underflow."""
        difference = func.least(func.abs(left - right), literal_column(str(MAX_LOG2_DIFFERENCE)))
        more = func.ln(literal_column("1") + func.power(literal_column("2.0"), -difference))
        return func.greatest(left, right) + more * literal_column(str(1 / math.log(2)))

    def array(self, values: Iterable[Any]) -> Any:
        """As a list."""
        return list(values)

    def keys(self, values: Iterable[bytes]) -> Any:
        """As a list."""
        return list(values)

    def pipeline(self, cursor: Any) -> AbstractContextManager[Pipeline]:
        """The driver's."""
        return pipeline_on(cursor.connection)

    def new_keys(self, table: Table, num: str) -> CompilerElement:
        """The next ones of the sequence."""
        sequence = select(cast(func.pg_get_serial_sequence(table.name, "key"), postgresql.REGCLASS)).scalar_subquery()
        return select(func.nextval(sequence)).select_from(func.generate_series(1, bindparam(num, type_=BigInteger)))

    def insert(self, table: Table, *names: str) -> Insert:
        """For all rows, from one array per column."""
        return postgresql.insert(table).from_select(list(names), select(*_unnested(table, names).c))

    def update(self, table: Table, *names: str, key: str) -> CompilerElement:
        """For all rows, joined with one array per column."""
        new = _unnested(table, (*names, key))
        return update(table).where(table.c[key] == new.c[key]).values({name: new.c[name] for name in names})

    def write(self, cursor: Any, statement: Statement, rows: Sequence[Row]) -> None:
        """One statement, one array per column."""
        cursor.execute(statement.sql, [packed(column) for column in zip(*rows, strict=True)])

    def integer_blocks(
        self, cursor: Any, statement: Statement, values: Sequence[Any], *, width: int
    ) -> Iterator[IntArray]:
        """By binary COPY: a signature, rows of a fixed width (all values are 64-bit integers), a trailer."""
        row = np.dtype([("width", ">i2"), ("columns", [("size", ">i4"), ("value", ">i8")], (width,))])
        start, unread = COPY_SIGNATURE_BYTES, b""
        with cursor.copy(f"COPY ({statement.sql}) TO STDOUT (FORMAT BINARY)", values) as copy:
            messages = iter(copy)
            while received := b"".join(islice(messages, BLOCK_ROWS)):  # the driver returns about a row at a time
                packed = unread + received
                num_rows = (len(packed) - start) // row.itemsize
                rows = np.frombuffer(packed, row, count=num_rows, offset=start)
                yield rows["columns"]["value"].astype(np.int64)
                start, unread = 0, packed[start + num_rows * row.itemsize :]  # in the end the trailer, 2 bytes

    def failure(self, error: Exception) -> StoreError:
        """By SQLSTATE."""
        return postgres_failure(error)


def _array_parameter(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """A parameter of an array type. Text has no collation: the server cannot compare two different ones."""
    element: TypeEngine[Any] = kind
    if isinstance(kind, Text):
        element = Text()
    elif isinstance(kind, BigInteger):
        element = BigInteger()
    return cast(bindparam(name), ARRAY(element))


def _unnested(table: Table, names: Sequence[str]) -> Any:
    arrays = [_array_parameter(f"new_{name}", table.c[name].type) for name in names]
    return func.unnest(*arrays).table_valued(*names).render_derived(name="new")


def dialect_of(engine: Engine) -> Dialect:
    """The dialect of an engine."""
    return SqliteDialect(engine) if engine.dialect.name == "sqlite" else PostgresDialect(engine)
