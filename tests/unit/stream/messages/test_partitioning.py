"""The partition of a user: equal to that of the Java client."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from stream.messages.partitioning import RECOUNT_EVERY_S, UserPartitions, murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_equals_the_java_clients_test_vectors(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed & 0xFFFFFFFF


@given(st.binary(max_size=40))
def test_the_hash_equals_that_of_aiokafka_for_any_bytes(data: bytes) -> None:
    assert murmur2(data) == murmur2_of_aiokafka(data) & 0xFFFFFFFF


@given(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()), st.integers(1, 64))
def test_a_user_always_belongs_to_the_same_partition(user_id: str, num_partitions: int) -> None:
    partition = partition_of(user_id, num_partitions=num_partitions)
    assert 0 <= partition < num_partitions
    assert partition == partition_of(user_id, num_partitions=num_partitions)


def test_users_spread_over_all_partitions() -> None:
    partitions = [partition_of(f"user-{number}", num_partitions=4) for number in range(4_000)]
    assert all(partitions.count(partition) > 800 for partition in range(4))


def moved_user(*, before: int, after: int) -> str:
    """A user who moves to another of the partitions that there were before."""
    users = (f"user-{number}" for number in range(1_000))
    return next(
        user
        for user in users
        if partition_of(user, num_partitions=before) != partition_of(user, num_partitions=after) < before
    )


def test_users_belong_to_their_partition_before_and_after_the_topic_grew() -> None:
    count = 2
    partitions = UserPartitions(2, recount=lambda: count, now_s=lambda: 0.0)
    user = moved_user(before=2, after=3)
    count = 3
    assert partitions.include(user, partition_of(user, num_partitions=3))
    assert partitions.include(user, partition_of(user, num_partitions=2))
    assert not partitions.include(user, 2)


def test_partitions_are_counted_at_most_once_a_second() -> None:
    recounts: list[float] = []
    now_s = [0.0]

    def recount() -> int:
        recounts.append(now_s[0])
        return 2

    partitions = UserPartitions(2, recount=recount, now_s=lambda: now_s[0])
    wrong = 1 - partition_of("ann", num_partitions=2)
    for now_s[0] in (0.0, RECOUNT_EVERY_S / 2, RECOUNT_EVERY_S):
        assert not partitions.include("ann", wrong)
    assert recounts == [0.0, RECOUNT_EVERY_S]
