"""Samples of events by a hash: the same events are drawn each time, and a growing log keeps most of its sample."""

from __future__ import annotations

import numpy as np

from core.arrays import IntArray

MIX = np.uint64(0x9E3779B97F4A7C15)  # a multiplicative hash constant: samples user keys and times evenly


def sample_of(users: IntArray, times_ms: IntArray, size: int) -> IntArray:
    """Ascending positions of at most `size` of (n,) events, by a hash of user and time."""
    if len(users) <= size:
        return np.arange(len(users))
    mixed = (users.astype(np.uint64) * MIX) ^ (times_ms.astype(np.uint64) * MIX)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * MIX
    return np.sort(np.argsort(mixed, kind="stable")[:size])
