"""The repository of the audit log."""

from __future__ import annotations

from typing import Protocol

from core.records.stored import AuditEntry


class AuditReader(Protocol):
    """Reads the audit log."""

    def page(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """The newest entries with keys below `before`, newest first."""
        ...


class AuditRepository(AuditReader, Protocol):
    """Reads and writes the audit log, to which entries are only added."""

    def add(self, entry: AuditEntry) -> None:
        """Add an entry."""
        ...
