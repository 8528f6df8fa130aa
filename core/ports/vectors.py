"""The repository of user vectors. Shapes: B batch, D width of a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.arrays import FloatArray
from core.records.stored import UserState


class VectorReader(Protocol):
    """Reads user vectors."""

    def find(self, state: UserState, *, version: str, binding: str) -> FloatArray | None:
        """The stored (D,) vector of a user at exactly this sequence and binding, or None."""
        ...


class VectorRepository(VectorReader, Protocol):
    """Reads and writes user vectors."""

    def save(self, states: Sequence[UserState], vectors: FloatArray, bindings: Sequence[str], *, version: str) -> None:
        """Store (B, D) vectors of users, one per user and model version; a newer stored vector is never replaced."""
        ...

    def delete(self, version: str) -> None:
        """Delete the vectors of a model version."""
        ...

    def clear(self) -> None:
        """Delete all vectors."""
        ...
