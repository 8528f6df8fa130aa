"""The audit log of a store in memory."""

from __future__ import annotations

from dataclasses import replace

from core.records.stored import AuditEntry
from memory_store.data import MemoryRepository


class MemoryAudit(MemoryRepository):
    """`core.ports.audit.AuditRepository`."""

    def add(self, entry: AuditEntry) -> None:
        self.data.audit = [*self.data.audit, replace(entry, key=len(self.data.audit) + 1)]

    def page(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        older = [entry for entry in self.data.audit if before is None or (entry.key or 0) < before]
        return older[::-1][:limit]
