"""The repository of model versions and promotions."""

from __future__ import annotations

from typing import Protocol

from core.records.stored import ModelRecord, Promotion


class ModelReader(Protocol):
    """Reads model versions and promotions."""

    def all(self) -> list[ModelRecord]:
        """All models, newest first."""
        ...

    def champion(self) -> ModelRecord | None:
        """The serving model."""
        ...

    def promotions(self, *, since_ms: int = 0) -> list[Promotion]:
        """The changes of the serving model since a time, newest first."""
        ...


class ModelRepository(ModelReader, Protocol):
    """Reads and writes model versions and promotions."""

    def lock(self) -> list[ModelRecord]:
        """All models, newest first, locked until the transaction ends."""
        ...

    def save(self, record: ModelRecord) -> None:
        """Store a model; a model with status "champion" retires the previous champion."""
        ...

    def add_promotion(self, promotion: Promotion) -> None:
        """Record a change of the serving model."""
        ...
