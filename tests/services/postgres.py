"""One PostgreSQL server for a whole test run, and private ones for tests that stop theirs.

The environment may name one (TIDEWISE_TEST_POSTGRES, a URL whose user may create databases); else it is started on
loopback, with a free port and a folder of its own, and gone when the tests are.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from local_postgres import OPTIONS as LOCAL_OPTIONS
from local_postgres import NoPostgres as NoPostgres
from local_postgres import PostgresServer, find_binaries
from psycopg import sql
from services.one_per_run import shared_service

from storage import open_store
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


@dataclass(frozen=True)
class SharedServer:
    """A server for all processes of a test run, with a database that has our tables and no rows."""

    url: str
    template: str
    folder: Path | None  # of a server of our own

    def stop(self) -> None:
        """End a server of our own with its data; of another, drop the template."""
        if self.folder is None:
            with psycopg.connect(self.url, autocommit=True) as admin:
                admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(self.template)))
        else:
            _control(self.folder, "stop", "--mode=immediate")
            shutil.rmtree(self.folder)


@contextmanager
def shared_server(folder: Path) -> Iterator[SharedServer]:
    """The server named in the environment, else one of our own; `folder` is for its name. Raises `NoPostgres`."""
    with shared_service(folder, start=_start_shared, stop=SharedServer.stop) as server:
        yield server


def _start_shared() -> SharedServer:
    folder = None
    if named := os.environ.get(URL_VARIABLE):
        url = named.replace("+psycopg", "")
    else:
        folder = Path(tempfile.mkdtemp(prefix="tidewise-postgres-"))
        url = _start_own(folder)
    template = _new_name()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(template)))
    open_store(_database_url(url, template)).close()
    return SharedServer(url, template, folder)


def _start_own(folder: Path) -> str:
    port = free_port()
    server = PostgresServer(folder, binaries=find_binaries(), port=port)
    server.initialise()
    settings = " ".join(f"-c {option}" for option in (*LOCAL_OPTIONS, *OPTIONS, "max_connections=200"))
    options = f"-h 127.0.0.1 -p {port} {settings}"
    _control(folder, "start", "--log", str(folder / "server.log"), "--options", options)
    return server.url


def _control(folder: Path, *arguments: str) -> None:
    """Start or stop a server as a process of its own: the test process that stops it may not be its parent."""
    server = PostgresServer(folder, binaries=find_binaries(), port=0)
    assert server.run("pg_ctl", "--pgdata", str(folder / "data"), *arguments).wait(60) == 0, (
        folder / "log"
    ).read_text()


@contextmanager
def fresh_database(url: str, *, template: str = "template1") -> Iterator[str]:
    """A new database on that server, as a URL for `open_store`; dropped at the end. `template`: what it has."""
    name = sql.Identifier(_new_name())
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
        yield _database_url(url, name.as_string().strip('"'))
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _new_name() -> str:
    return f"tidewise_test_{uuid.uuid4().hex[:12]}"


def _database_url(url: str, name: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/{name}".replace("postgresql://", "postgresql+psycopg://")


# All rows, and keys are counted from 1 again.
EMPTY = "; ".join(
    [
        *(f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables)),
        "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences "
        "WHERE last_value IS NOT NULL",
    ]
)


@dataclass(frozen=True)
class ReusedDatabase:
    """A database with our tables. `url`: for `open_store`.

    It is emptied by an open connection: a new one takes 9 ms of CPU, deleting 8, truncating what has rows 22.
    """

    url: str
    connection: psycopg.Connection

    def empty(self) -> None:
        """Delete all rows."""
        self.connection.execute(EMPTY)


@contextmanager
def reused_database(server: SharedServer) -> Iterator[ReusedDatabase]:
    """A new database on the server, dropped at the end."""
    with (
        fresh_database(server.url, template=server.template) as url,
        psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection,
    ):
        yield ReusedDatabase(url, connection)
