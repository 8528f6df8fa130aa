"""One private PostgreSQL server for tests: loopback, a free port, a folder of its own, gone when the tests are.

Used where the environment names no server (TIDEWISE_TEST_POSTGRES, a URL whose user may create databases).
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

URL_VARIABLE = "TIDEWISE_TEST_POSTGRES"
START_TIMEOUT_S = 60
# A test's data may go with its machine, so the server need not wait for the disk.
OPTIONS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "unix_socket_directories=",
    "max_connections=60",
)


class NoPostgres(Exception):
    """No server is named and none can be started; the message says what to install or set."""


def find_binaries() -> Path:
    """The folder that holds initdb and postgres; Debian keeps it out of PATH."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name.zfill(3), reverse=True
    )
    if config := shutil.which("pg_config"):
        shown = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        folders.insert(0, Path(shown.stdout.strip()))
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgres(f"no PostgreSQL server: install one (Debian: postgresql), or set {URL_VARIABLE} to a URL")


def _server_account() -> str:
    """PostgreSQL refuses to run as root, so root lends it to another account."""
    if os.geteuid() != 0:
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """A server that this process started; `stop` and `kill` end exactly that one."""

    def __init__(self, folder: Path, *, binaries: Path, port: int) -> None:
        self.folder = folder
        self.url = f"postgresql://tidewise@127.0.0.1:{port}/postgres"
        self._binaries = binaries
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, _server_account())
        settings = ["-U", "tidewise", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", "-D", str(self.folder / "data"), *settings).wait(START_TIMEOUT_S)

    def start(self) -> None:
        options = [part for option in OPTIONS for part in ("-c", option)]
        where = ["-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self._port)]
        self._process = self._run("postgres", *where, *options)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoPostgres(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT is a fast shutdown, SIGQUIT an immediate one, as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        account = {"user": _server_account(), "group": pwd.getpwnam(_server_account()).pw_gid, "extra_groups": []}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._binaries / program), *arguments],
                cwd="/",
                stdout=log,
                stderr=log,
                env={"HOME": str(self.folder), "LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
                **(account if os.geteuid() == 0 else {}),
            )


@contextmanager
def private_server() -> Iterator[PostgresServer]:
    """A server in a folder of its own, stopped and deleted at the end; raises `NoPostgres`."""
    binaries = find_binaries()
    # Not below pytest's own folder, which other accounts may not enter.
    with tempfile.TemporaryDirectory(prefix="tidewise-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), binaries=binaries, port=free_port())
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
