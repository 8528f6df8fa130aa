"""One private PostgreSQL server for tests: loopback, a free port, a folder of its own, gone when the tests are.

Used where the environment names no server (TIDEWISE_TEST_POSTGRES, a URL whose user may create databases).
"""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from local_postgres import NoPostgres as NoPostgres
from local_postgres import PostgresServer, find_binaries
from psycopg import sql

from storage.tables import metadata

URL_VARIABLE = "TIDEWISE_TEST_POSTGRES"
# A test's data may go with its machine, so the server need not wait for the disk.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def private_server() -> Iterator[PostgresServer]:
    """A server in a folder of its own, stopped and deleted at the end; raises `NoPostgres`."""
    binaries = find_binaries()
    # Not below pytest's own folder, which other accounts may not enter.
    with tempfile.TemporaryDirectory(prefix="tidewise-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), binaries=binaries, port=free_port(), options=OPTIONS)
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def server_url() -> Iterator[str]:
    """The URL of a server whose user may create databases: the one named in the environment, else a private one."""
    if named := os.environ.get(URL_VARIABLE):
        yield named.replace("+psycopg", "")
        return
    with private_server() as server:
        yield server.url


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """A new empty database on that server, as a URL for `open_store`; dropped at the end."""
    name = f"tidewise_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{url.rsplit('/', 1)[0]}/{name}".replace("postgresql://", "postgresql+psycopg://")
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(url: str) -> None:
    """Delete the rows of all our tables."""
    names = ", ".join(f'"{table}"' for table in metadata.tables)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
