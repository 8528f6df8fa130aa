"""Schema migrations. Alembic is imported only if there are migrations to run."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from core.errors import StoreMismatch

HEAD = "0034"  # the newest migration; a test compares it with the folder
MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x7469646577697365  # of PostgreSQL's advisory locks: one process migrates, the others wait


def migrate(connection: Connection, *, begin: str) -> None:
    """Run missing migrations in one transaction; raises `StoreMismatch` if a newer version wrote the schema."""
    connection.exec_driver_sql(begin)
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    current = _revision(connection)
    if current != HEAD:
        run_migrations(connection, current)
    connection.exec_driver_sql("COMMIT")


def is_current(connection: Connection) -> bool:
    """Whether no migration is missing; waits for nobody."""
    return _revision(connection) == HEAD


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def run_migrations(connection: Connection, current: str | None) -> None:
    """Run the migrations that follow `current`; all of them for None, a database without tables."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        msg = (
            f"the database has schema {current}, but this version of Tidewise supports schemas up to {HEAD}: "
            "a newer version wrote it; install that version, or open another database"
        )
        raise StoreMismatch(msg)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
