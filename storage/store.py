"""The store: `open_store` opens a SQLite or PostgreSQL database as a `core.ports.store.Store`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import StoreError, StoreUnavailable
from core.ports.metadata import Secret
from core.ports.store import ReadTransaction, Transaction
from core.secrets import shared_secret
from storage.dialects import dialect_of
from storage.engine import BUSY_TIMEOUT_S, POOL_TIMEOUT_S, open_engine, parse_url
from storage.migrate import is_current, migrate
from storage.readers import Reader, Readers, SingleQueries
from storage.session import Session
from storage.transaction import SqlTransaction
from storage.turns import WriterTurns


def open_store(url: str, *, create: bool = True, cache_mib: int | None = None, long_turns: bool = False) -> SqlStore:
    """Open a database and migrate it. `create`: a missing SQLite file. `cache_mib`: see `open_engine`.

    `long_turns`: transactions may take so long that others have to wait for longer than usual (`storage.turns`).

    Raises `InvalidSettings` (bad URL), `StoreUnavailable`, and `StoreMismatch` (written by a newer version).
    """
    engine = open_engine(parse_url(url), create=create, cache_mib=cache_mib)
    store = SqlStore(engine, turns_of(engine.url, are_long=long_turns))
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def turns_of(url: URL, *, are_long: bool = False) -> WriterTurns | None:
    """The turns of writers of a SQLite file; None for PostgreSQL, whose writers wait for rows."""
    if url.get_backend_name() != "sqlite":
        return None
    return WriterTurns(Path(f"{url.database}-turn"), timeout_s=BUSY_TIMEOUT_S, are_long=are_long)


class SqlStore:
    """A SQLite or PostgreSQL database. Thread-safe. `turns`: of those who write; None: the database orders them."""

    def __init__(self, engine: Engine, turns: WriterTurns | None = None) -> None:
        self._engine = engine
        self._turns = turns
        self._dialect = dialect_of(engine)
        self._secret = b""
        self._readers = Readers(self._open_reader, self._drop_if_lost)
        self.is_embedded = engine.dialect.name == "sqlite"

    @property
    def others_wait(self) -> bool:
        """Whether another process waited for the newest write transaction; always where the database orders them."""
        return self._turns is None or self._turns.others_wait

    @property
    def held_s(self) -> float:
        """Seconds for which the newest write transaction kept all others waiting."""
        return 0.0 if self._turns is None else self._turns.held_s

    def prepare(self) -> None:
        """Migrate, and read the secret for hashes of erased users; the first time, create it."""
        try:
            with self._engine.connect() as connection:
                if not is_current(connection):
                    with self._turn():
                        migrate(connection, begin=self._dialect.begin_write)
        except DBAPIError as error:
            raise self._dialect.failure(cast(Exception, error.orig)) from error
        self._secret = shared_secret(self, Secret.ERASURE)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction; rolled back unless committed."""
        with self._turn(), self._session(self._dialect.begin_write) as session:
            yield SqlTransaction(session, self._secret)

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._turns is None else self._turns.turn()

    def read(self, *, snapshot: bool = True) -> AbstractContextManager[ReadTransaction]:
        """A transaction for reading; never blocked by writers. Without `snapshot`, each query is one round trip."""
        return self._snapshot() if snapshot else SingleQueries(self._readers)

    @contextmanager
    def _snapshot(self) -> Iterator[ReadTransaction]:
        with self._session(self._dialect.begin_read) as session:
            yield SqlTransaction(session, self._secret)

    def _open_reader(self) -> Reader:
        return Reader(self._dialect, self._connect(), self._secret)

    def close(self) -> None:
        """Close all connections."""
        self._readers.close()
        self._engine.dispose()
        if self._turns is not None:
            self._turns.close()

    @contextmanager
    def _session(self, begin: str) -> Iterator[Session]:
        """A session on a pooled connection; the pool rolls back uncommitted changes when the connection is returned.

        `begin`: the statement that begins the transaction.
        """
        connection = self._connect()
        try:
            session = Session(self._dialect, self._dialect.cursor(connection))
            session.command(begin)
            yield session
        except StoreUnavailable as error:
            self._drop_if_lost(connection, error)
            raise
        finally:
            connection.close()

    def _connect(self) -> PoolProxiedConnection:
        try:
            return self._engine.raw_connection()
        except PoolTimeout as error:
            msg = f"no database connection was free within {POOL_TIMEOUT_S} s; retry, or run more processes"
            raise StoreUnavailable(msg) from error
        except DBAPIError as error:
            raise self._dialect.failure(cast(Exception, error.orig)) from error
        except self._dialect.driver_error as error:
            raise self._dialect.failure(error) from error

    def _drop_if_lost(self, connection: PoolProxiedConnection, error: StoreError) -> None:
        """Empty the pool if the connection was lost: after a server restart all its connections are dead."""
        cause = cast(Any, error.__cause__)
        if cause is not None and self._engine.dialect.is_disconnect(cause, connection.dbapi_connection, None):
            connection.invalidate()
            self._readers.close()
            self._engine.dispose()
