"""Secrets that all processes of an installation share."""

from __future__ import annotations

from core.ports.metadata import Secret
from core.ports.store import Store


def shared_secret(store: Store, name: Secret) -> bytes:
    """A secret of 32 random bytes, made by the first process that needs it; the others do not wait for writers."""
    with store.read() as read:
        found = read.metadata.secret(name)
    if found is not None:
        return found
    with store.transaction() as tx:
        made = tx.metadata.make_secret(name)
        tx.commit()
    return made
