"""Database engines: URL, connection pool and connection settings."""

from __future__ import annotations

import math
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.errors import InvalidSettings, StoreUnavailable
from storage.postgres_arrays import use_packed_arrays

POOL_SIZE = 8  # idle connections kept; the last used is taken first, so that its page cache stays warm
POOL_OVERFLOW = 24
POOL_TIMEOUT_S = 10
BUSY_PAUSE_S = 0.01
BUSY_TIMEOUT_S = 10  # how long a SQLite writer waits for another process
CACHE_MIB = 32  # of pages, per SQLite connection
CHECKPOINT_PAGES = 4_000  # 16 MiB of WAL between checkpoints: imports spend less time in them than with 4 MiB
CONNECT_TIMEOUT_S = 5
IDLE_TRANSACTION_TIMEOUT_S = 10
SILENCE_S = 10  # TCP alone takes 15 minutes to notice that the other end acknowledges nothing
KEEPALIVES = {
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": SILENCE_S * 1000,  # ms
}


def parse_url(text: str) -> URL:
    """The URL of a supported database; raises `InvalidSettings`."""
    try:
        url = make_url(text)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in ("sqlite", "postgresql"):
        expected = "sqlite:///path/to/file.db or postgresql+psycopg://user@host/name"
        got = text.split("@")[-1] if "@" in text else text.partition(":")[0]  # without a password
        msg = f"database: wanted {expected}, got {got!r}"
        raise InvalidSettings(msg)
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise InvalidSettings("database: wanted a file (sqlite:///path/to/file.db), SQLite in memory is not shared")
    if "password" in url.query:  # where it would be shown, also in the command line of pg_dump
        url = url.set(password=str(url.query["password"])).difference_update_query(["password"])
    return url.set(drivername="sqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg")


def open_engine(url: URL, *, create: bool, cache_mib: int | None = None) -> Engine:
    """An engine with a connection pool; it does not connect yet.

    `cache_mib`: of pages, per SQLite connection; None: `CACHE_MIB`.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, create=create, cache_mib=cache_mib or CACHE_MIB)
    return _postgres_engine(url)


def _sqlite_engine(url: URL, *, create: bool, cache_mib: int) -> Engine:
    path = Path(str(url.database))
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        msg = f"{path}: no such database; correct the path, or create a database with `tidewise import`"
        raise StoreUnavailable(msg)
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_TIMEOUT_S,
        pool_use_lifo=True,
        connect_args={
            "timeout": BUSY_TIMEOUT_S,
            "isolation_level": None,  # the driver does not begin transactions itself
            "cached_statements": 256,
            "check_same_thread": False,  # the pool gives a connection to one thread at a time
        },
    )
    event.listen(engine, "connect", partial(_prepare_sqlite, cache_mib=cache_mib))
    return engine


def _prepare_sqlite(connection: Any, _record: Any, *, cache_mib: int) -> None:
    """WAL: readers never wait for the writer. FULL: each commit is on disk before it is acknowledged."""
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA cache_size=-{cache_mib * 1024}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    cursor.close()
    connection.create_function("add_log2", 2, _add_log2, deterministic=True)


def _add_log2(left: float, right: float) -> float:
    """log2(2**left + 2**right)."""
    return max(left, right) + math.log2(1 + 2.0 ** -abs(left - right))


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Retries while another process creates the file: SQLite's busy timeout does not cover this statement."""
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline_s:
                raise
            time.sleep(BUSY_PAUSE_S)
        else:
            return


def _postgres_engine(url: URL) -> Engine:
    """Autocommit: `storage.store` begins and ends transactions, the same way on both databases."""
    try:
        engine = create_engine(
            url,
            paramstyle="format",
            isolation_level="AUTOCOMMIT",
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_TIMEOUT_S,
            pool_use_lifo=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                **KEEPALIVES,
                "application_name": "tidewise",
                # A process that is suspended inside a transaction must not keep its locks: another one takes over.
                "options": f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_TIMEOUT_S}s",
            },
        )
    except ModuleNotFoundError as error:
        msg = (
            f"database: PostgreSQL needs the postgres extra ({error.name} is missing); pip install 'tidewise[postgres]'"
        )
        raise InvalidSettings(msg) from error
    event.listen(engine, "connect", use_packed_arrays)
    return engine
