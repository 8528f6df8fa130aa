"""User vectors: only current ones are returned, and older ones never replace newer ones."""

import numpy as np
import pytest

from core.arrays import FloatArray
from core.ports.store import Store
from core.records.stored import UserState

USER = UserState(key=7, seq=3)


def save(store: Store, state: UserState, values: list[float], *, version: str = "a", binding: str = "a:1:0") -> None:
    with store.transaction() as tx:
        tx.vectors.save([state], np.array([values], np.float32), [binding], version=version)
        tx.commit()


def find(store: Store, state: UserState, *, version: str = "a", binding: str = "a:1:0") -> FloatArray | None:
    with store.read() as read:
        return read.vectors.find(state, version=version, binding=binding)


def test_a_vector_is_read_back_bit_by_bit(store: Store) -> None:
    save(store, USER, [1.5, -0.25, 3e-38])
    np.testing.assert_array_equal(find(store, USER), np.array([1.5, -0.25, 3e-38], np.float32))


@pytest.mark.parametrize(
    ("state", "version", "binding"),
    [
        (UserState(key=7, seq=4), "a", "a:1:0"),
        (UserState(key=8, seq=3), "a", "a:1:0"),
        (USER, "b", "a:1:0"),
        (USER, "a", "a:2:0"),
    ],
    ids=["another sequence", "another user", "another version", "another content revision"],
)
def test_a_vector_of_another_state_is_not_returned(store: Store, state: UserState, version: str, binding: str) -> None:
    save(store, USER, [1.0])
    assert find(store, state, version=version, binding=binding) is None


def test_an_older_vector_does_not_replace_a_newer_one(store: Store) -> None:
    newer = UserState(key=7, seq=4)
    save(store, newer, [2.0])
    save(store, USER, [1.0])
    assert find(store, USER) is None
    np.testing.assert_array_equal(find(store, newer), [2.0])


def test_each_model_version_has_its_own_vector(store: Store) -> None:
    save(store, USER, [1.0])
    save(store, USER, [2.0], version="b", binding="b:1:0")
    np.testing.assert_array_equal(find(store, USER), [1.0])
    np.testing.assert_array_equal(find(store, USER, version="b", binding="b:1:0"), [2.0])


def test_erasing_a_user_deletes_vectors(store: Store) -> None:
    with store.transaction() as tx:
        state = UserState(key=tx.users.lock(["ann"])["ann"].key, seq=1)
        tx.users.save([state])
        tx.commit()
    save(store, state, [1.0])
    with store.transaction() as tx:
        tx.users.erase("ann", now_ms=1_700_000_000_000)
        tx.commit()
    assert find(store, state) is None


def test_clearing_vectors_deletes_all(store: Store) -> None:
    save(store, USER, [1.0])
    with store.transaction() as tx:
        tx.vectors.clear()
        tx.commit()
    assert find(store, USER) is None
