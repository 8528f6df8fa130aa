"""The partition of a user's events: Kafka's default partitioner for keyed messages (murmur2 of the key's bytes).

All events of a user go through one partition, so that one worker at a time applies them, in order. The Java client,
kafka-python and aiokafka use this hash by default; librdkafka does with `partitioner=murmur2_random`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import lru_cache

RECOUNT_EVERY_S = 1.0
_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit MurmurHash2 of `data` with Kafka's seed, as an unsigned number."""
    length = len(data)
    whole = length & ~3
    state = _SEED ^ length
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        state = state * _MULTIPLIER & _MASK ^ word
    if whole < length:
        state = (state ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    state = (state ^ state >> 13) * _MULTIPLIER & _MASK
    return state ^ state >> 15


@lru_cache(maxsize=200_000)  # hashing takes microseconds in Python, and active users recur
def _user_hash(user_id: str) -> int:
    return murmur2(user_id.encode()) & 0x7FFFFFFF


def partition_of(user_id: str, *, num_partitions: int) -> int:
    """The partition of a topic to which all events of this user belong."""
    return _user_hash(user_id) % num_partitions


class UserPartitions:
    """The partitions in which a user's events may be: new partitions move users, and producers notice them late.

    So a user belongs to a partition by the topic's number of partitions now, and by each that it had since the start.
    `recount` asks Kafka for the number, at most once a second, where an event is in none of them.
    """

    def __init__(
        self, num_partitions: int, *, recount: Callable[[], int], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.counts = [num_partitions]  # the newest first
        self._recount = recount
        self._now_s = now_s
        self._recounted_s = -math.inf

    def include(self, user_id: str, partition: int) -> bool:
        """Whether the user's events may be in this partition."""
        for count in self.counts:  # `any` takes twice as long, for each event from Kafka
            if partition_of(user_id, num_partitions=count) == partition:
                return True
        return self._has_grown() and partition_of(user_id, num_partitions=self.counts[0]) == partition

    def _has_grown(self) -> bool:
        if self._now_s() - self._recounted_s < RECOUNT_EVERY_S:
            return False
        self._recounted_s = self._now_s()
        count = self._recount()
        if count <= self.counts[0]:
            return False
        self.counts.insert(0, count)
        return True
