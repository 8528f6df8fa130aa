"""Sessions of people who signed in: keys of the API with a name of their own kind, which expire within hours."""

from __future__ import annotations

from core.access.key_management import new_secret
from core.ports.store import Store
from core.records.api_keys import ApiKey, Scope, digest_of

PREFIX = "person:"  # no key made by `tidewise keys` has a colon in its name
MAX_NAME = 200


def open_session(store: Store, person: str, scope: Scope, *, now_ms: int, expires_ms: int) -> str:
    """Begin a session; returns its secret. The person's expired sessions are deleted.

    `person`: as the identity provider names them, such as an e-mail address.
    """
    name = f"{PREFIX}{person}"[:MAX_NAME]
    secret, digest = new_secret()
    with store.transaction() as tx:
        tx.keys.delete_expired(name, at_ms=now_ms)
        tx.keys.add(ApiKey(digest, name, scope, now_ms, expires_ms))
        tx.commit()
    return secret


def end_session(store: Store, secret: bytes) -> None:
    """End the session with this secret; where there is none, nothing happens and no writer waits."""
    digest = digest_of(secret)
    with store.read(snapshot=False) as read:
        is_session = any(key.digest == digest and key.name.startswith(PREFIX) for key in read.keys.all())
    if is_session:
        with store.transaction() as tx:
            tx.keys.delete_secret(digest)
            tx.commit()
