"""Vectors: found only under the very binding and sequence that was asked for, and bounded in memory."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.recommendation.user_vectors.vector_cache import ENTRY_OVERHEAD_BYTES, VectorCache
from core.records.stored import UserState


def vectors(*values: float, width: int = 4) -> FloatArray:
    return np.repeat(np.array(values, np.float32)[:, None], width, axis=1)


def first(vector: FloatArray | None) -> float | None:
    return None if vector is None else float(vector[0])


def cache(max_mib: float = 1) -> VectorCache:
    return VectorCache(max_mib=max_mib)


def test_a_vector_is_found_under_its_user_binding_and_sequence_only() -> None:
    vector_cache = cache()
    vector_cache.put([UserState(1, 7), UserState(2, 9)], vectors(0.1, 0.2), ["v1"] * 2)
    assert first(vector_cache.get(1, binding="v1", seq=7)) == np.float32(0.1)
    assert first(vector_cache.get(2, binding="v1", seq=9)) == np.float32(0.2)
    for key, binding, seq in ((1, "v2", 7), (1, "v1", 8), (1, "v1", 6), (3, "v1", 7)):
        assert vector_cache.get(key, binding=binding, seq=seq) is None


def test_cache_holds_vectors_of_two_versions_and_lists_users_by_last_use() -> None:
    vector_cache = cache()
    vector_cache.put([UserState(1, 7), UserState(2, 7)], vectors(0.1, 0.2), ["v1:1"] * 2)
    vector_cache.put([UserState(1, 7)], vectors(0.9), ["v2:1"])
    assert first(vector_cache.get(2, binding="v1:1", seq=7)) == np.float32(0.2)
    assert first(vector_cache.get(1, binding="v1:1", seq=7)) == np.float32(0.1)
    assert first(vector_cache.get(1, binding="v2:1", seq=7)) == np.float32(0.9)
    assert vector_cache.recent_users(9) == [1, 2]
    assert vector_cache.recent_users(1) == [1]


def test_an_older_state_never_replaces_a_newer_one() -> None:
    vector_cache = cache()
    vector_cache.put([UserState(1, 8)], vectors(0.8), ["v1"])
    vector_cache.put([UserState(1, 7)], vectors(0.7), ["v1"])
    assert vector_cache.get(1, binding="v1", seq=7) is None
    assert first(vector_cache.get(1, binding="v1", seq=8)) == np.float32(0.8)


def test_a_newer_state_or_another_catalogue_replaces_what_was_kept() -> None:
    vector_cache = cache()
    for binding, seq in (("v1:1", 1), ("v1:1", 2), ("v1:2", 1)):
        vector_cache.put([UserState(1, seq)], vectors(seq), [binding])
        assert first(vector_cache.get(1, binding=binding, seq=seq)) == seq
    assert len(vector_cache) == 1


def test_memory_is_bounded_and_the_least_recently_used_go_first() -> None:
    width = 100
    entry_bytes = ENTRY_OVERHEAD_BYTES + 4 * width
    vector_cache = cache(max_mib=3 * entry_bytes / 2**20)
    vector_cache.put([UserState(key, 1) for key in (1, 2, 3)], vectors(1, 2, 3, width=width), ["v"] * 3)
    vector_cache.get(1, binding="v", seq=1)
    vector_cache.put([UserState(4, 1)], vectors(4, width=width), ["v"])
    assert [key for key in (1, 2, 3, 4) if vector_cache.get(key, binding="v", seq=1) is not None] == [1, 3, 4]


def test_replacing_a_vector_costs_no_room() -> None:
    vector_cache = cache(max_mib=2 * (ENTRY_OVERHEAD_BYTES + 16) / 2**20)
    vector_cache.put([UserState(9, 1)], vectors(9), ["v"])
    for seq in range(1, 50):
        vector_cache.put([UserState(1, seq)], vectors(seq), ["v"])
    assert vector_cache.get(9, binding="v", seq=1) is not None


def test_a_kept_vector_does_not_keep_its_whole_batch_in_memory() -> None:
    vector_cache = cache()
    vector_cache.put([UserState(1, 1), UserState(2, 1)], vectors(1, 2), ["v"] * 2)
    vector = vector_cache.get(1, binding="v", seq=1)
    assert vector is not None
    assert vector.base is None


def test_a_cache_without_room_keeps_nothing() -> None:
    vector_cache = cache(max_mib=0)
    vector_cache.put([UserState(1, 1)], vectors(1), ["v"])
    assert len(vector_cache) == 0
