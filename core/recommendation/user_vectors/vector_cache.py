"""An LRU cache of user vectors.

A vector belongs to (user, binding, sequence). The binding names the model version and the content revision of the
user's items, so that no vector of an old model or an old item text is used. There is one entry per user and model
version, so that a warm-up or a rollback does not evict the vectors of the other version.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from threading import Lock

from core.arrays import FloatArray
from core.records.stored import UserState

ENTRY_OVERHEAD_BYTES = 300  # dictionary slots, the key and the array's header; measured with tracemalloc


class VectorCache:
    """The most recently used vectors, bounded in bytes; thread-safe."""

    def __init__(self, *, max_mib: float) -> None:
        self._max_bytes = int(max_mib * 2**20)
        self._bytes = 0
        self._entries: OrderedDict[tuple[int, str], tuple[str, int, FloatArray]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, user_key: int, *, binding: str, seq: int) -> FloatArray | None:
        """The (D,) vector of a user at exactly this binding and sequence, or None."""
        with self._lock:
            key = (user_key, _version(binding))
            entry = self._entries.get(key)
            if entry is None or entry[:2] != (binding, seq):
                return None
            self._entries.move_to_end(key)
            return entry[2]

    def recent_users(self, limit: int) -> list[int]:
        """The keys of at most `limit` users, the most recently used first."""
        with self._lock:
            return list(islice(dict.fromkeys(key for key, _ in reversed(self._entries)), limit))

    def put(self, states: Sequence[UserState], vectors: FloatArray, bindings: Sequence[str]) -> None:
        """Cache (B, D) vectors of users at their states and bindings, unless a newer one is cached."""
        with self._lock:
            for state, vector, binding in zip(states, vectors, bindings, strict=True):
                key = (state.key, _version(binding))
                entry = self._entries.get(key)
                if entry is not None:
                    if entry[0] == binding and entry[1] > state.seq:
                        continue
                    self._bytes -= _size(entry[2])
                self._entries[key] = (binding, state.seq, vector.copy())  # a view would keep the batch alive
                self._entries.move_to_end(key)
                self._bytes += _size(vector)
            while self._bytes > self._max_bytes and self._entries:
                self._bytes -= _size(self._entries.popitem(last=False)[1][2])


def _version(binding: str) -> str:
    """The model version of a binding."""
    return binding.partition(":")[0]


def _size(vector: FloatArray) -> int:
    return ENTRY_OVERHEAD_BYTES + vector.size * vector.itemsize
