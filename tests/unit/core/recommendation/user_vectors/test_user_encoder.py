"""Encoding of users: kept, passed on through the store, or made afresh; always exactly current."""

import numpy as np
from doubles import MemoryStore

from core.arrays import FloatArray
from core.events.history import History, Window
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.snapshot import EMPTY_SNAPSHOT, ServingSnapshot
from core.recommendation.user_vectors.user_encoder import UserEncoder
from core.recommendation.user_vectors.vector_cache import VectorCache
from core.records.stored import UserState

HISTORY = History(np.array([1, 2]), np.array([10, 20]))


class CountingEncoder:
    """Encodes a history as its length, and counts how often it is asked."""

    width = 1

    @property
    def num_asked(self) -> int:
        return sum(self.batch_sizes)

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def encode(self, histories: list[History]) -> FloatArray:
        self.batch_sizes.append(len(histories))
        return np.array([[len(history)] for history in histories], np.float32)


def snapshot_of(encoder: CountingEncoder) -> ServingSnapshot:
    model = BoundModel("a", encoder, None, None, None)  # type: ignore[arg-type]
    return ServingSnapshot(EMPTY_SNAPSHOT.catalogue, EMPTY_SNAPSHOT.popularity, model)


def user(seq: int = 2) -> UserState:
    return UserState(7, seq, Window(2, HISTORY))


def encoder_over(store: MemoryStore, *, shared: bool) -> UserEncoder:
    return UserEncoder(store, cache=VectorCache(max_mib=1), shared=shared)


def ask(store: MemoryStore, users: UserEncoder, snapshot: ServingSnapshot, state: UserState) -> FloatArray:
    assert snapshot.model is not None
    with store.read() as read:
        return users.vectors(read, snapshot, snapshot.model, [state])


def test_a_user_is_encoded_once_while_nothing_changes() -> None:
    encoder, store = CountingEncoder(), MemoryStore()
    users = encoder_over(store, shared=False)
    assert [ask(store, users, snapshot_of(encoder), user()).tolist() for _ in range(3)] == [[[2.0]]] * 3
    assert encoder.num_asked == 1


def test_a_new_event_asks_for_a_new_vector() -> None:
    encoder, store = CountingEncoder(), MemoryStore()
    users = encoder_over(store, shared=False)
    ask(store, users, snapshot_of(encoder), user(seq=2))
    ask(store, users, snapshot_of(encoder), user(seq=3))
    assert encoder.num_asked == 2


def test_shared_vector_of_another_process_is_read_from_the_store() -> None:
    worker, api, store = CountingEncoder(), CountingEncoder(), MemoryStore()
    assert encoder_over(store, shared=True).encode_stale(snapshot_of(worker), [user()]) == 1
    assert ask(store, encoder_over(store, shared=True), snapshot_of(api), user()).tolist() == [[2.0]]
    assert (worker.num_asked, api.num_asked) == (1, 0)


def test_a_process_of_its_own_leaves_the_store_alone() -> None:
    encoder, store = CountingEncoder(), MemoryStore()
    encoder_over(store, shared=False).encode_stale(snapshot_of(encoder), [user()])
    with store.read() as read:
        assert read.vectors.find(user(), version="a", binding="a:1:0") is None


def test_users_without_a_history_or_already_current_are_not_behind() -> None:
    encoder, store = CountingEncoder(), MemoryStore()
    users, snapshot = encoder_over(store, shared=False), snapshot_of(encoder)
    assert users.encode_stale(snapshot, [UserState(8)]) == 0
    assert users.encode_stale(snapshot, [user()]) == 1
    assert users.encode_stale(snapshot, [user()]) == 0
    assert users.encode_stale(EMPTY_SNAPSHOT, [user(seq=9)]) == 0


def test_users_asked_for_together_are_one_batch_without_those_known() -> None:
    encoder, store = CountingEncoder(), MemoryStore()
    users, snapshot = encoder_over(store, shared=False), snapshot_of(encoder)
    longer = History(np.array([1, 2, 3]), np.array([10, 20, 30]))
    states = [user(), UserState(8, 1, Window(1, HISTORY)), UserState(9, 3, Window(3, longer))]
    ask(store, users, snapshot, states[0])
    assert snapshot.model is not None
    with store.read() as read:
        vectors = users.vectors(read, snapshot, snapshot.model, states)
    assert vectors.tolist() == [[2], [2], [3]]
    assert encoder.batch_sizes == [1, 2]
