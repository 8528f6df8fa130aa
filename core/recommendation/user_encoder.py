"""Encode: the current vector of a user, taken from where it already is or made by a full re-encode.

A vector is used only if it belongs to exactly the state and the binding at hand, so wherever it comes from (this
process, another one through the store, the encoder) the answer is the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from core.arrays import FloatArray
from core.errors import StoreUnavailable
from core.ports.store import ReadTransaction, Store
from core.recommendation.snapshot import BoundModel, ServingSnapshot
from core.recommendation.vector_cache import VectorCache
from core.records import UserState

WARM_USERS = 2_000
WARM_BATCH = 16  # some 5 ms of encoding: requests in between wait for no more
WARM_S = 2.0


class UserEncoder:
    """Computes and caches the vectors of users. `shared`: processes exchange vectors through the store."""

    def __init__(self, store: Store, *, cache: VectorCache, shared: bool) -> None:
        self._store = store
        self._cache = cache
        self._shared = shared
        self.num_encoded = 0  # by the model, here: for metrics, so that races between threads may cost a count

    def vector(
        self, read: ReadTransaction, snapshot: ServingSnapshot, model: BoundModel, state: UserState
    ) -> FloatArray:
        """(1, D): the kept vector if it is exactly current, else a fresh one. The history must not be empty."""
        kept = self._cache.get(state.key, binding=snapshot.binding, seq=state.seq)
        if kept is not None:
            return kept[None]
        stored = read.vectors.find(state, version=model.version, binding=snapshot.binding) if self._shared else None
        if stored is not None:
            fresh = stored[None]
        else:
            fresh = model.encoder.encode([state.window.history])
            self.num_encoded += 1
        self._cache.put([state], fresh, binding=snapshot.binding)
        return fresh

    def ahead(self, snapshot: ServingSnapshot, states: Sequence[UserState]) -> int:
        """Encode users before they are read; returns how many were behind."""
        if snapshot.model is None:
            return 0
        behind = [state for state in states if len(state.window.history) and not self._is_current(snapshot, state)]
        if not behind:
            return 0
        vectors = snapshot.model.encoder.encode([state.window.history for state in behind])
        self.num_encoded += len(behind)
        self._cache.put(behind, vectors, binding=snapshot.binding)
        if self._shared:
            with self._store.transaction() as tx:
                tx.vectors.save(behind, vectors, version=snapshot.model.version, binding=snapshot.binding)
                tx.commit()
        return len(behind)

    def warm(self, snapshot: ServingSnapshot) -> int:
        """Encode recently active users under a snapshot that is about to serve; returns how many, within its time.

        A database that is away costs nothing but this: users are then encoded when they are read.
        """
        deadline_s, num = time.monotonic() + WARM_S, 0
        try:
            keys = self._cache.recent_users(WARM_USERS)
            for begin in range(0, len(keys), WARM_BATCH):
                if time.monotonic() >= deadline_s:
                    break
                with self._store.read() as read:
                    states = read.users.by_key(keys[begin : begin + WARM_BATCH])
                num += self.ahead(snapshot, states)
        except StoreUnavailable:
            return num
        return num

    def _is_current(self, snapshot: ServingSnapshot, state: UserState) -> bool:
        return self._cache.get(state.key, binding=snapshot.binding, seq=state.seq) is not None
