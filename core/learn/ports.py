"""The ports of learning: model versions, which of them serves, and the leases of roles. Part of `core.ports`."""

from __future__ import annotations

from typing import Protocol

from core.records import LeaseRecord, ModelRecord, Promotion


class VersionWrites(Protocol):
    """What a transaction writes of them. `guard` comes before every other lock of a transaction."""

    def guard(self, lease: LeaseRecord) -> None:
        """Before everything else: nobody takes this lease until the end; raises `LeaseLost` where somebody has."""
        ...

    def save_model(self, record: ModelRecord) -> None:
        """Store a model; one with status "champion" retires the previous champion."""
        ...

    def lock_models(self) -> list[ModelRecord]:
        """All models, newest first, locked until the end."""
        ...

    def promotions(self) -> list[Promotion]:
        """All changes of the model that serves, newest first."""
        ...

    def add_promotion(self, promotion: Promotion) -> None:
        """Note a change of the model that serves."""
        ...

    def drop_vectors(self, version: str) -> None:
        """Delete the vectors of a model version."""
        ...

    def take_lease(self, role: str, *, holder: str, ttl_ms: int) -> LeaseRecord | None:
        """A role for `ttl_ms` from now by the store's clock, or None while another holder has it.

        Each taking, also of one's own, has a higher token: whoever held it under a lower one can no longer write.
        """
        ...

    def renew_lease(self, lease: LeaseRecord, *, ttl_ms: int) -> bool:
        """Hold it for `ttl_ms` from now, even where it has expired meanwhile; False where another has taken it."""
        ...

    def release_lease(self, lease: LeaseRecord) -> None:
        """Give it back at once; nothing where another has taken it."""
        ...


class VersionReads(Protocol):
    """What a snapshot tells of them."""

    def models(self) -> list[ModelRecord]:
        """All models, newest first."""
        ...

    def promotions(self) -> list[Promotion]:
        """All changes of the model that serves, newest first."""
        ...

    def champion(self) -> ModelRecord | None:
        """The model that serves."""
        ...

    def lease(self, role: str) -> LeaseRecord | None:
        """Who held this role last, expired or not; None where it was given back or never held."""
        ...
