"""New SQLite databases of a test process get their tables from a copy: all migrations take 0.1 s of CPU each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import Connection

from storage import open_store
from storage.migrate import run_migrations

PATCHED = "storage.migrate.run_migrations"
# Not copied: the transaction is that of the migrations, and each database makes a secret of its own.
LEFT_OUT = ("BEGIN", "COMMIT", 'INSERT INTO "meta"')


@contextmanager
def copied_tables(template: Callable[[], Path]) -> Iterator[None]:
    """Instead of all migrations, run the statements of a migrated, empty SQLite file, which `template` makes once."""

    @cache
    def statements() -> list[str]:
        with closing(sqlite3.connect(template())) as connection:
            return [line for line in connection.iterdump() if not line.startswith(LEFT_OUT)]

    def copy(connection: Connection, current: str | None) -> None:
        if current is not None or connection.dialect.name != "sqlite":
            run_migrations(connection, current)
            return
        for statement in statements():
            connection.exec_driver_sql(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PATCHED, copy)
        yield


def migrate_new(path: Path) -> None:
    """Make a migrated, empty SQLite file, by the migrations themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PATCHED, run_migrations)
        open_store(f"sqlite:///{path}").close()
