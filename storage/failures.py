"""What the drivers' errors mean to an operator. Knows the codes of SQLite and PostgreSQL, no statements."""

from __future__ import annotations

from core.errors import StoreConflict, StoreError, StoreUnavailable

# SQLite's result codes by the beginning of their names (extended codes only add a suffix).
SQLITE_AWAY = {
    "SQLITE_BUSY": "another process keeps the database locked; stop the other writer, or send it again",
    "SQLITE_LOCKED": "another connection keeps a table locked; send it again",
    "SQLITE_FULL": "the disk is full; free some room, then send it again",
    "SQLITE_IOERR": "the disk failed to read or write; check the disk and its free room, then send it again",
    "SQLITE_CANTOPEN": "the database file cannot be opened; check that its folder exists and may be written to",
    "SQLITE_READONLY": "the database may not be written to; check the owner and mode of the file and its folder",
    "SQLITE_PERM": "the database may not be opened; check the owner and mode of the file and its folder",
}
SQLITE_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

# PostgreSQL's SQLSTATE: the longest known beginning decides.
POSTGRES_AWAY = {
    "08": "the connection was lost; check that the server runs",
    "25006": "the server is read-only (a standby); connect to the primary",
    "25P03": "this process stood still inside a transaction and lost its locks to another; what it held is tried again",
    "28": "the server refused the user or password; check the URL of the database",
    "3D": "the database does not exist; create it (`createdb`) or correct the URL",
    "53": "the server is out of room, memory or connections; free some, then send it again",
    "53100": "the server's disk is full; free some room, then send it again",
    "53300": "the server has no connection left; raise max_connections or run fewer processes",
    "55P03": "a row stayed locked for too long; send it again",
    "57": "the server is stopping or starting, or cancelled the statement; send it again",
}
POSTGRES_CONFLICTS = ("40001", "40P01", "23505")
POSTGRES_DAMAGED = ("XX001", "XX002")


def sqlite_failure(error: Exception) -> StoreError:
    """An error of `sqlite3` as ours."""
    name: str = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_CONSTRAINT"):
        return StoreConflict(f"the row is stored already ({error}); run the transaction again")
    if name.startswith(SQLITE_DAMAGED):
        return _damaged(error)
    for beginning, advice in SQLITE_AWAY.items():
        if name.startswith(beginning):
            return StoreUnavailable(f"SQLite: {advice} ({error})")
    return StoreError(f"SQLite refused a statement: {error}")


def postgres_failure(error: Exception) -> StoreError:
    """An error of `psycopg` as ours. Without a state the server did not even answer."""
    state: str = getattr(error, "sqlstate", None) or "08"
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if state in POSTGRES_CONFLICTS:
        return StoreConflict(f"a concurrent transaction won ({first_line}); run the transaction again")
    if state in POSTGRES_DAMAGED:
        return _damaged(error)
    known = [beginning for beginning in POSTGRES_AWAY if state.startswith(beginning)]
    if known:
        return StoreUnavailable(f"PostgreSQL: {POSTGRES_AWAY[max(known, key=len)]} ({first_line})")
    return StoreError(f"PostgreSQL refused a statement ({state}): {first_line}")


def _damaged(error: Exception) -> StoreError:
    msg = (
        f"the database is damaged or is no database ({error}); stop every Tidewise process, "
        "keep a copy of the file, and restore the last backup"
    )
    return StoreError(msg)
