"""Copies of a database in one file, as of one moment and while it is in use: by SQLite itself, and by pg_dump.

Neither copy holds free pages, so nothing of what was deleted before it was made.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from core.errors import InvalidInput, InvalidSettings, StoreUnavailable, plain_reason
from storage.dialects import dialect_of
from storage.engine import open_engine, parse_url
from storage.migrate import HEAD

SCHEMA = HEAD


def backend_of(url: str) -> str:
    """The kind of database, "sqlite" or "postgresql"; raises `InvalidSettings`."""
    return parse_url(url).get_backend_name()


def dump(url: str, path: Path) -> None:
    """Copy a database to a new file; raises `StoreUnavailable`, and `InvalidSettings` where pg_dump is missing."""
    database = parse_url(url)
    if database.get_backend_name() == "sqlite":
        _dump_sqlite(Path(str(database.database)), path)
    else:
        _run(database, "pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={path}"])


def check_empty(url: str) -> None:
    """Raise `InvalidInput` unless a copy can be loaded into the database: it has no tables, or is a missing file."""
    database = parse_url(url)
    if database.get_backend_name() == "sqlite":
        if Path(str(database.database)).exists():
            msg = f"{database.database}: a database lies there; choose an empty --data folder, or move the old one away"
            raise InvalidInput(msg)
        return
    engine = open_engine(database, create=False)
    try:
        with engine.connect() as connection:
            tables = inspect(connection).get_table_names()
    except DBAPIError as error:
        raise dialect_of(engine).failure(error) from error
    finally:
        engine.dispose()
    if tables:
        msg = f"{database.database}: the database has {len(tables)} tables; restore into a new one (`createdb`)"
        raise InvalidInput(msg)


def load(path: Path, url: str) -> None:
    """Make a database of a copy, whole or not at all; see `check_empty`."""
    database = parse_url(url)
    if database.get_backend_name() == "postgresql":
        _run(database, "pg_restore", ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"], path)
        return
    target = Path(str(database.database))
    aside = target.with_name(f".{target.name}.partial")
    with copying(path, target):
        try:
            shutil.copyfile(path, aside)
            with aside.open("rb+") as file:
                os.fsync(file.fileno())
            aside.rename(target)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def copying(source: Path, target: Path) -> Iterator[None]:
    """Copies of files in the block; raises `StoreUnavailable` where the system refuses, as on a full disk."""
    try:
        yield
    except OSError as error:
        causes = error.args[0] if isinstance(error, shutil.Error) else None  # of a folder: (source, target, reason)
        raise _failed(source, target, str(causes[0][2]) if causes else plain_reason(error)) from error


def _failed(source: Path, target: Path, reason: str) -> StoreUnavailable:
    return StoreUnavailable(f"{source}: cannot be copied to {target} ({reason}); check that its disk has room")


def _dump_sqlite(source: Path, path: Path) -> None:
    try:
        connection = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("VACUUM INTO ?", [str(path)])
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _failed(source, path, str(error)) from error


def _run(database: URL, tool: str, options: Sequence[str], *files: Path) -> None:
    """Run a tool of PostgreSQL; the password is passed in its environment, which other users cannot read."""
    plain = database.set(drivername="postgresql", password=None).render_as_string()
    try:
        done = subprocess.run(  # noqa: S603 a fixed tool, no shell
            [tool, *options, f"--dbname={plain}", *map(str, files)],
            env={**os.environ, **_password(database)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        msg = f"{tool}: not found; install PostgreSQL's client programs, of the server's version or newer"
        raise InvalidSettings(msg) from error
    if done.returncode:
        reason = done.stderr.strip() or f"exit status {done.returncode}"
        msg = f"{tool}: {reason}"
        raise StoreUnavailable(msg)


def _password(database: URL) -> Mapping[str, str]:
    return {} if database.password is None else {"PGPASSWORD": str(database.password)}
