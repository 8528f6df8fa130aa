"""The audit log."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.sql.elements import CompilerElement

from core.records.stored import AuditEntry
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import audit_log

columns = audit_log.c
NEWEST_KEY = 2**62


def _add(dialect: Dialect) -> CompilerElement:
    return dialect.insert(audit_log, "time_ms", "actor", "action", "target")


def _page(dialect: Dialect) -> CompilerElement:
    fields = (columns.time_ms, columns.actor, columns.action, columns.target, columns.key)
    older = columns.key < bindparam("before")
    return select(*fields).where(older).order_by(columns.key.desc()).limit(bindparam("limit"))


class AuditRepository:
    """`core.ports.audit.AuditRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, entry: AuditEntry) -> None:
        """Add an entry."""
        self._session.write(_add, [(entry.time_ms, entry.actor, entry.action, entry.target)])

    def page(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """The newest entries with keys below `before`, newest first."""
        rows = self._session.rows(_page, before=NEWEST_KEY if before is None else before, limit=limit)
        return [AuditEntry(*row) for row in rows]
