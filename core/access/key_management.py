"""Make, rotate and revoke API keys. A secret is returned once; a key that is rotated has several for a while."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.errors import InvalidInput, NotFound
from core.events.interactions import check_id
from core.ports.store import Store
from core.records.api_keys import ApiKey, Scope, digest_of

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
PREFIX = "tw_"  # so that tools that search code for secrets can find them


def create_key(
    store: Store,
    name: str,
    scope: Scope,
    *,
    now_ms: int,
    expires_ms: int | None = None,
    max_per_s: float | None = None,
    scenarios: Sequence[str] = (),
) -> str:
    """Make a key; returns its secret. The fields are those of `ApiKey`.

    Raises `InvalidInput` for a name that is in use or malformed, and for scenarios with another scope than read.
    """
    if not NAME.fullmatch(name):
        msg = f"name: wanted up to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, got {name!r}"
        raise InvalidInput(msg, field="name")
    if scenarios and scope is not Scope.READ:
        msg = f"scenarios: only a key of scope read can be limited to scenarios, got {scope.name.lower()}"
        raise InvalidInput(msg, field="scenarios")
    permitted = tuple(check_id("scenario", scenario) for scenario in scenarios)
    secret, digest = new_secret()
    with store.transaction() as tx:
        if _named(tx.keys.all(), name):
            msg = f"name: there is a key {name!r}; rotate it, or choose another name"
            raise InvalidInput(msg, field="name")
        tx.keys.add(ApiKey(digest, name, scope, now_ms, expires_ms, max_per_s, permitted))
        tx.commit()
    return secret


def rotate_key(store: Store, name: str, *, now_ms: int, overlap_ms: int) -> str:
    """Give a key a new secret; its other secrets expire after `overlap_ms`. Raises `NotFound`."""
    secret, digest = new_secret()
    with store.transaction() as tx:
        newest = _known(tx.keys.all(), name)
        tx.keys.expire(name, at_ms=now_ms + overlap_ms)
        tx.keys.add(replace(newest, digest=digest, created_ms=now_ms))
        tx.commit()
    return secret


def revoke_key(store: Store, name: str) -> None:
    """Delete a key with all its secrets; raises `NotFound`."""
    with store.transaction() as tx:
        _known(tx.keys.all(), name)
        tx.keys.delete(name)
        tx.commit()


def new_secret() -> tuple[str, bytes]:
    """A random secret and its digest."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, digest_of(secret.encode())


def _named(keys: Iterable[ApiKey], name: str) -> list[ApiKey]:
    return [key for key in keys if key.name == name]


def _known(keys: Iterable[ApiKey], name: str) -> ApiKey:
    """The newest secret of a key."""
    named = _named(keys, name)
    if not named:
        msg = f"there is no key {name!r}; `tidewise keys list` shows all"
        raise NotFound(msg)
    return max(named, key=lambda key: key.created_ms)
