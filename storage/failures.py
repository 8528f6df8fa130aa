"""Translation of driver errors into `core.errors`, by the error codes of SQLite and PostgreSQL."""

from __future__ import annotations

from core.errors import StoreConflict, StoreError, StoreUnavailable

# By the prefix of SQLite's result code name (extended codes add a suffix).
SQLITE_UNAVAILABLE = {
    "SQLITE_BUSY": "another process keeps the database locked; stop the other writer, or retry",
    "SQLITE_LOCKED": "another connection keeps a table locked; retry",
    "SQLITE_FULL": "the disk is full; free some space, then retry",
    "SQLITE_IOERR": "a disk read or write failed; check the disk and its free space, then retry",
    "SQLITE_CANTOPEN": "the database file cannot be opened; check that its folder exists and is writable",
    "SQLITE_READONLY": "the database is read-only; check the owner and mode of the file and its folder",
    "SQLITE_PERM": "access to the database is denied; check the owner and mode of the file and its folder",
}
SQLITE_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

# By the prefix of PostgreSQL's SQLSTATE; the longest match wins.
POSTGRES_UNAVAILABLE = {
    "08": "the connection was lost; check that the server runs",
    "25006": "the server is read-only (a standby); connect to the primary",
    "25P03": "this process was suspended inside a transaction, which was rolled back; it is retried",
    "28": "the server rejected the user or password; check the URL of the database",
    "3D": "the database does not exist; create it (`createdb`) or correct the URL",
    "53": "the server is out of disk space, memory or connections; free some, then retry",
    "53100": "the server's disk is full; free some space, then retry",
    "53300": "the server has no free connection; raise max_connections or run fewer processes",
    "55P03": "waiting for a row lock timed out; retry",
    "57": "the server is stopping or starting, or cancelled the statement; retry",
}
POSTGRES_CONFLICTS = ("40001", "40P01", "23505")
POSTGRES_DAMAGED = ("XX001", "XX002")


def sqlite_failure(error: Exception) -> StoreError:
    """The `StoreError` for an error of `sqlite3`."""
    name: str = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_CONSTRAINT"):
        return StoreConflict(f"the row is stored already ({error}); run the transaction again")
    if name.startswith(SQLITE_DAMAGED):
        return _damaged(error)
    for prefix, advice in SQLITE_UNAVAILABLE.items():
        if name.startswith(prefix):
            return StoreUnavailable(f"SQLite: {advice} ({error})")
    return StoreError(f"SQLite rejected a statement: {error}")


def postgres_failure(error: Exception) -> StoreError:
    """The `StoreError` for an error of `psycopg`. Without SQLSTATE there was no answer from the server."""
    state: str = getattr(error, "sqlstate", None) or "08"
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if state in POSTGRES_CONFLICTS:
        return StoreConflict(f"a concurrent transaction won ({first_line}); run the transaction again")
    if state in POSTGRES_DAMAGED:
        return _damaged(error)
    prefixes = [prefix for prefix in POSTGRES_UNAVAILABLE if state.startswith(prefix)]
    if prefixes:
        return StoreUnavailable(f"PostgreSQL: {POSTGRES_UNAVAILABLE[max(prefixes, key=len)]} ({first_line})")
    return StoreError(f"PostgreSQL rejected a statement ({state}): {first_line}")


def _damaged(error: Exception) -> StoreError:
    msg = (
        f"the database is damaged or not a database ({error}); stop every Tidewise process, "
        "keep a copy of the file, and restore the last backup"
    )
    return StoreError(msg)
