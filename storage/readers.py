"""Readers: connections for single queries, which stay open between their uses.

Getting a connection from SQLAlchemy's pool and making the repositories takes 18 µs, a small query of SQLite 4 µs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from sqlalchemy import PoolProxiedConnection

from core.errors import StoreUnavailable
from core.ports.store import ReadTransaction
from storage.dialects import Dialect
from storage.session import Session
from storage.transaction import SqlTransaction

KEPT = 4  # as many as threads that answer queries


class Reader:
    """A connection in autocommit, with the repositories over it."""

    __slots__ = ("connection", "transaction")

    def __init__(self, dialect: Dialect, connection: PoolProxiedConnection, secret: bytes) -> None:
        """`secret`: see `SqlTransaction`."""
        self.connection = connection
        self.transaction = SqlTransaction(Session(dialect, dialect.cursor(connection)), secret)


class Readers:
    """The readers of a store; thread-safe. `connect` makes one; `on_lost` is told of errors of a connection."""

    def __init__(
        self, connect: Callable[[], Reader], on_lost: Callable[[PoolProxiedConnection, StoreUnavailable], None]
    ) -> None:
        self._connect = connect
        self._on_lost = on_lost
        self._idle: list[Reader] = []

    def take(self) -> Reader:
        """One that nobody else has; raises `StoreUnavailable`."""
        with suppress(IndexError):
            return self._idle.pop()
        return self._connect()

    def give_back(self, reader: Reader, error: BaseException | None) -> None:
        """After its use, and what that raised: then its last query may be half read, and the pool ends it."""
        if error is None and len(self._idle) < KEPT:
            self._idle.append(reader)
            return
        if isinstance(error, StoreUnavailable):
            self._on_lost(reader.connection, error)
        reader.connection.close()

    def close(self) -> None:
        """Close those that nobody has."""
        with suppress(IndexError):
            while True:
                self._idle.pop().connection.invalidate()


class SingleQueries:
    """Lends a reader for a `with` block. Not a generator: that would cost as much as a query."""

    __slots__ = ("_reader", "_readers")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def __enter__(self) -> ReadTransaction:
        """Take one."""
        self._reader = self._readers.take()
        return self._reader.transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self._readers.give_back(self._reader, error)
