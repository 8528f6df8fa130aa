"""Leases of a store in memory."""

from __future__ import annotations

from dataclasses import replace

from core.clock import WallClock
from core.errors import LeaseLost
from core.records.stored import LeaseRecord
from memory_store.data import MemoryRepository


class MemoryLeases(MemoryRepository):
    """`core.ports.leases.LeaseRepository`."""

    def find(self, role: str) -> LeaseRecord | None:
        known = self.data.leases.get(role)
        return known if known is not None and known.holder else None

    def guard(self, lease: LeaseRecord) -> None:
        if not self._holds(lease):
            msg = f"the role {lease.role!r} was taken over from {lease.holder}"
            raise LeaseLost(msg)

    def take(self, role: str, *, holder: str, ttl_ms: int) -> LeaseRecord | None:
        now_ms = WallClock().now_ms()
        known = self.data.leases.get(role, LeaseRecord(role, "", 0, 0))
        if known.expires_ms > now_ms and known.holder != holder:
            return None
        self.data.leases[role] = LeaseRecord(role, holder, known.token + 1, now_ms + ttl_ms)
        return self.data.leases[role]

    def renew(self, lease: LeaseRecord, *, ttl_ms: int) -> bool:
        if self._holds(lease):
            known = self.data.leases[lease.role]
            self.data.leases[lease.role] = replace(known, expires_ms=WallClock().now_ms() + ttl_ms)
        return self._holds(lease)

    def release(self, lease: LeaseRecord) -> None:
        if self._holds(lease):
            self.data.leases[lease.role] = replace(lease, holder="", expires_ms=0)

    def _holds(self, lease: LeaseRecord) -> bool:
        known = self.data.leases.get(lease.role)
        return known is not None and known.token == lease.token
