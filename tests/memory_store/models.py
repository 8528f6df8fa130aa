"""Models of a store in memory."""

from __future__ import annotations

from dataclasses import replace

from core.records.stored import ModelRecord, Promotion
from memory_store.data import MemoryRepository


class MemoryModels(MemoryRepository):
    """`core.ports.models.ModelRepository`."""

    def all(self) -> list[ModelRecord]:
        return sorted(self.data.models.values(), key=lambda model: (model.created_ms, model.version), reverse=True)

    def champion(self) -> ModelRecord | None:
        return next((model for model in self.all() if model.status == "champion"), None)

    def promotions(self, *, since_ms: int = 0) -> list[Promotion]:
        return [promotion for promotion in self.data.promotions[::-1] if promotion.time_ms >= since_ms]

    def lock(self) -> list[ModelRecord]:
        return self.all()

    def save(self, record: ModelRecord) -> None:
        if record.status == "champion":
            champions = [old for old in self.data.models.values() if old.status == "champion"]
            self.data.models |= {old.version: replace(old, status="retired") for old in champions}
        self.data.models[record.version] = record

    def add_promotion(self, promotion: Promotion) -> None:
        self.data.promotions.append(promotion)
