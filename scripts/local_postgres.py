"""Start a private PostgreSQL server from the system's binaries: on loopback, with its own folder and port.

For `make stack` and for tests. Independent of what is stored in it.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

START_TIMEOUT_S = 60
OPTIONS = ("unix_socket_directories=", "max_connections=60")


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
    raise NoPostgres("no PostgreSQL server: install one (Debian: postgresql), or name a running one")


def _server_account() -> str:
    """PostgreSQL refuses to run as root, so root lends it to another account."""
    if os.geteuid() != 0:
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresServer:
    """A server that this process started; `stop` and `kill` end exactly that one."""

    def __init__(self, folder: Path, *, binaries: Path, port: int, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.url = f"postgresql://tidewise@127.0.0.1:{port}/postgres"
        self._binaries = binaries
        self._port = port
        self._options = (*OPTIONS, *options)
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make the cluster, once."""
        if (self.folder / "data" / "PG_VERSION").exists():
            return
        if os.geteuid() == 0:
            shutil.chown(self.folder, _server_account())
        settings = ["-U", "tidewise", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        if self.run("initdb", "-D", str(self.folder / "data"), *settings).wait(START_TIMEOUT_S):
            msg = f"initdb failed:\n{self._log_end()}"
            raise NoPostgres(msg)

    def start(self) -> None:
        """Start, and return when it answers; raises `NoPostgres`."""
        options = [part for option in self._options for part in ("-c", option)]
        where = ["-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self._port)]
        self._process = self.run("postgres", *where, *options)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                msg = f"PostgreSQL did not start:\n{self._log_end()}"
                raise NoPostgres(msg)
            time.sleep(0.05)

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT is a fast shutdown, SIGQUIT an immediate one, as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def _log_end(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program of PostgreSQL's under the server's account."""
        name = _server_account() if os.geteuid() == 0 else None
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._binaries / program), *arguments],
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at a terminal is for the caller, who stops it in its turn
                env={"HOME": str(self.folder), "LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
                user=name,
                group=None if name is None else pwd.getpwnam(name).pw_gid,
                extra_groups=None if name is None else (),
            )
