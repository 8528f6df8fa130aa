"""Metadata: named values, and secrets that stay the same and are not among them."""

from __future__ import annotations

import pytest

from core.ports.metadata import Secret
from core.ports.store import Store
from core.secrets import shared_secret


@pytest.mark.parametrize("name", Secret)
def test_a_secret_is_made_once_and_is_no_value(store: Store, name: Secret) -> None:
    made = []
    for _ in range(2):
        with store.transaction() as tx:
            made.append(tx.metadata.make_secret(name))
            tx.commit()
    with store.read() as read:
        assert name not in read.metadata.all()
        assert read.metadata.secret(name) == made[0] == made[1] == shared_secret(store, name)
    assert len(made[0]) == 32


def test_secrets_differ(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.metadata.make_secret(Secret.ERASURE) != tx.metadata.make_secret(Secret.CURSORS)


def test_the_first_who_needs_a_secret_makes_it(store: Store) -> None:
    with store.read() as read:
        assert read.metadata.secret(Secret.CURSORS) is None
    made = shared_secret(store, Secret.CURSORS)
    with store.read() as read:
        assert read.metadata.secret(Secret.CURSORS) == made
