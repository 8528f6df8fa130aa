"""The user encoder: a user's current vector, from the cache, the store or the model.

A vector is used only if it has exactly the user's sequence number and binding, so that the result does not depend on
where it comes from. Other items may change without making it stale.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from core.arrays import FloatArray
from core.errors import StoreUnavailable
from core.ports.store import ReadTransaction, Store
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.recommendation.user_vectors.vector_cache import VectorCache
from core.records.stored import UserState

WARM_USERS = 2_000
WARM_BATCH = 16  # about 5 ms of encoding, the longest that a request waits
WARM_S = 2.0


class UserEncoder:
    """Computes and caches the vectors of users. `shared`: processes exchange vectors through the store."""

    def __init__(self, store: Store, *, cache: VectorCache, shared: bool) -> None:
        self._store = store
        self._cache = cache
        self._shared = shared
        # By the model in this process; for metrics, so that a lost update between threads is harmless.
        self.num_encoded = 0

    def vectors(
        self, read: ReadTransaction, snapshot: ServingSnapshot, model: BoundModel, states: Sequence[UserState]
    ) -> FloatArray:
        """(B, D) the cached or stored vectors where they are current, else new ones, encoded as one batch.

        No history may be empty.
        """
        bindings = [snapshot.binding(state.window.history) for state in states]
        vectors = [self._known(read, model, state, binding) for state, binding in zip(states, bindings, strict=True)]
        stale = [index for index, vector in enumerate(vectors) if vector is None]
        if stale:
            fresh = self._encode(model, [states[index] for index in stale], [bindings[index] for index in stale])
            for index, vector in zip(stale, fresh, strict=True):
                vectors[index] = vector
        return np.stack([vector for vector in vectors if vector is not None])

    def _encode(self, model: BoundModel, states: Sequence[UserState], bindings: Sequence[str]) -> FloatArray:
        """(B, D) new vectors, which are cached."""
        vectors = model.encoder.encode([state.window.history for state in states])
        self.num_encoded += len(states)
        self._cache.put(states, vectors, bindings)
        return vectors

    def _known(self, read: ReadTransaction, model: BoundModel, state: UserState, binding: str) -> FloatArray | None:
        """(D,) the cached or stored vector if it is current."""
        kept = self._cache.get(state.key, binding=binding, seq=state.seq)
        if kept is not None or not self._shared:
            return kept
        stored = read.vectors.find(state, version=model.version, binding=binding)
        if stored is not None:
            self._cache.put([state], stored[None], [binding])
        return stored

    def encode_stale(self, snapshot: ServingSnapshot, states: Sequence[UserState]) -> int:
        """Encode the users whose vector is not current; returns how many."""
        if snapshot.model is None:
            return 0
        stale = [state for state in states if len(state.window.history) and not self._is_current(snapshot, state)]
        if not stale:
            return 0
        bindings = [snapshot.binding(state.window.history) for state in stale]
        vectors = self._encode(snapshot.model, stale, bindings)
        if self._shared:
            with self._store.transaction() as tx:
                tx.vectors.save(stale, vectors, bindings, version=snapshot.model.version)
                tx.commit()
        return len(stale)

    def warm(self, snapshot: ServingSnapshot) -> int:
        """Encode recently active users for a snapshot that is about to serve, for at most `WARM_S`; returns how many.

        Stops if the database is unavailable; the other users are then encoded at their next request.
        """
        deadline_s, num = time.monotonic() + WARM_S, 0
        try:
            keys = self._cache.recent_users(WARM_USERS)
            for begin in range(0, len(keys), WARM_BATCH):
                if time.monotonic() >= deadline_s:
                    break
                with self._store.read() as read:
                    states = read.users.by_key(keys[begin : begin + WARM_BATCH])
                num += self.encode_stale(snapshot, states)
        except StoreUnavailable:
            return num
        return num

    def _is_current(self, snapshot: ServingSnapshot, state: UserState) -> bool:
        binding = snapshot.binding(state.window.history)
        return self._cache.get(state.key, binding=binding, seq=state.seq) is not None
