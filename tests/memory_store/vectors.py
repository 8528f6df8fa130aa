"""Vectors of a store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from core.arrays import FloatArray
from core.records.stored import UserState
from memory_store.data import MemoryRepository


class MemoryVectors(MemoryRepository):
    """`core.ports.vectors.VectorRepository`."""

    def find(self, state: UserState, *, version: str, binding: str) -> FloatArray | None:
        known = self.data.vectors.get((state.key, version))
        return known[2] if known is not None and known[:2] == (binding, state.seq) else None

    def save(self, states: Sequence[UserState], vectors: FloatArray, bindings: Sequence[str], *, version: str) -> None:
        for state, vector, binding in zip(states, vectors, bindings, strict=True):
            known = self.data.vectors.get((state.key, version))
            if known is None or known[1] <= state.seq:
                self.data.vectors[state.key, version] = (binding, state.seq, vector.copy())

    def delete(self, version: str) -> None:
        self.data.vectors = {key: kept for key, kept in self.data.vectors.items() if key[1] != version}

    def clear(self) -> None:
        self.data.vectors = {}
