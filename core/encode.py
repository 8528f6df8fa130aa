"""Encode: the current vector of a user, taken from where it already is or made by a full re-encode.

A vector is used only if it belongs to exactly the state and the binding at hand, so wherever it comes from (this
process, another one through the store, the encoder) the answer is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.ports import FloatArray, ReadView, Store, UserState
from core.vectors import VectorCache
from core.views import ModelView, View


class UserEncoder:
    """Vectors of users under a view. `shared`: other processes encode too, and vectors are passed on in the store."""

    def __init__(self, store: Store, *, cache: VectorCache, shared: bool) -> None:
        self._store = store
        self._cache = cache
        self._shared = shared
        self.num_encoded = 0  # by the model, here: for metrics, so that races between threads may cost a count

    def vector(self, read: ReadView, view: View, model: ModelView, state: UserState) -> FloatArray:
        """(1, D): the kept vector if it is exactly current, else a fresh one. The history must not be empty."""
        kept = self._cache.get(state.key, binding=view.binding, seq=state.seq)
        if kept is not None:
            return kept[None]
        stored = read.vector(state, version=model.version, binding=view.binding) if self._shared else None
        if stored is not None:
            fresh = stored[None]
        else:
            fresh = model.encoder.encode([state.window.history])
            self.num_encoded += 1
        self._cache.put([state], fresh, binding=view.binding)
        return fresh

    def ahead(self, view: View, states: Sequence[UserState]) -> int:
        """Encode users before they are read; returns how many were behind."""
        if view.model is None:
            return 0
        behind = [state for state in states if len(state.window.history) and not self._is_current(view, state)]
        if not behind:
            return 0
        vectors = view.model.encoder.encode([state.window.history for state in behind])
        self.num_encoded += len(behind)
        self._cache.put(behind, vectors, binding=view.binding)
        if self._shared:
            with self._store.transaction() as tx:
                tx.save_vectors(behind, vectors, version=view.model.version, binding=view.binding)
                tx.commit()
        return len(behind)

    def _is_current(self, view: View, state: UserState) -> bool:
        return self._cache.get(state.key, binding=view.binding, seq=state.seq) is not None
