"""Doubles of `core.learn.ports`: model versions, promotions and leases in memory. Parts of `doubles.MemoryStore`."""

from __future__ import annotations

from dataclasses import replace

from memory_data import Data

from core.clock import WallClock
from core.errors import LeaseLost
from core.ports import LeaseRecord, ModelRecord, Promotion


class MemoryVersionReads:
    """`core.learn.ports.VersionReads` over the data of a store."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def models(self) -> list[ModelRecord]:
        return sorted(self.data.models.values(), key=lambda model: (model.created_ms, model.version), reverse=True)

    def promotions(self) -> list[Promotion]:
        return self.data.promotions[::-1]

    def champion(self) -> ModelRecord | None:
        return next((model for model in self.models() if model.status == "champion"), None)

    def lease(self, role: str) -> LeaseRecord | None:
        known = self.data.leases.get(role)
        return known if known is not None and known.holder else None


class MemoryVersionWrites:
    """`core.learn.ports.VersionWrites` over the data of a transaction."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def guard(self, lease: LeaseRecord) -> None:
        if not self._holds(lease):
            msg = f"the role {lease.role!r} was taken over from {lease.holder}"
            raise LeaseLost(msg)

    def take_lease(self, role: str, *, holder: str, ttl_ms: int) -> LeaseRecord | None:
        now_ms = WallClock().now_ms()
        known = self.data.leases.get(role, LeaseRecord(role, "", 0, 0))
        if known.expires_ms > now_ms and known.holder != holder:
            return None
        self.data.leases[role] = LeaseRecord(role, holder, known.token + 1, now_ms + ttl_ms)
        return self.data.leases[role]

    def renew_lease(self, lease: LeaseRecord, *, ttl_ms: int) -> bool:
        if self._holds(lease):
            known = self.data.leases[lease.role]
            self.data.leases[lease.role] = replace(known, expires_ms=WallClock().now_ms() + ttl_ms)
        return self._holds(lease)

    def release_lease(self, lease: LeaseRecord) -> None:
        if self._holds(lease):
            self.data.leases[lease.role] = replace(lease, holder="", expires_ms=0)

    def _holds(self, lease: LeaseRecord) -> bool:
        known = self.data.leases.get(lease.role)
        return known is not None and known.token == lease.token

    def save_model(self, record: ModelRecord) -> None:
        if record.status == "champion":
            champions = [old for old in self.data.models.values() if old.status == "champion"]
            self.data.models |= {old.version: replace(old, status="retired") for old in champions}
        self.data.models[record.version] = record

    def lock_models(self) -> list[ModelRecord]:
        return MemoryVersionReads(self.data).models()

    def promotions(self) -> list[Promotion]:
        return self.data.promotions[::-1]

    def add_promotion(self, promotion: Promotion) -> None:
        self.data.promotions.append(promotion)

    def drop_vectors(self, version: str) -> None:
        self.data.vectors = {key: kept for key, kept in self.data.vectors.items() if key[1] != version}
