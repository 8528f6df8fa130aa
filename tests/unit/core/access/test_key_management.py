"""Making, rotating and revoking API keys."""

from __future__ import annotations

import pytest
from doubles import MemoryStore

from core.access.key_management import create_key, revoke_key, rotate_key
from core.errors import InvalidInput, NotFound
from core.records.api_keys import ApiKey, Scope, digest_of


def stored(store: MemoryStore) -> list[ApiKey]:
    with store.read() as read:
        return read.keys.all()


def test_a_new_key_is_stored_as_the_digest_of_its_secret() -> None:
    store = MemoryStore()
    secret = create_key(store, "shop", Scope.WRITE, now_ms=1, expires_ms=9, max_per_s=2.0)
    assert stored(store) == [ApiKey(digest_of(secret.encode()), "shop", Scope.WRITE, 1, 9, 2.0)]
    assert len(secret) >= 43


def test_no_two_secrets_are_the_same() -> None:
    store = MemoryStore()
    assert len({create_key(store, f"key-{number}", Scope.READ, now_ms=1) for number in range(20)}) == 20


@pytest.mark.parametrize("name", ["", "Shop", "-shop", "a b", "a" * 65, "shop\n", "ü"])
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="name: wanted") as caught:
        create_key(MemoryStore(), name, Scope.READ, now_ms=1)
    assert caught.value.field == "name"


def test_a_name_in_use_is_refused() -> None:
    store = MemoryStore()
    create_key(store, "shop", Scope.READ, now_ms=1)
    with pytest.raises(InvalidInput, match="there is a key 'shop'; rotate it"):
        create_key(store, "shop", Scope.ADMIN, now_ms=2)


def test_a_rotated_key_keeps_scope_limit_and_end() -> None:
    store = MemoryStore()
    old = create_key(store, "shop", Scope.WRITE, now_ms=1, expires_ms=900, max_per_s=2.0)
    new = rotate_key(store, "shop", now_ms=100, overlap_ms=10)
    assert stored(store) == [
        ApiKey(digest_of(old.encode()), "shop", Scope.WRITE, 1, 110, 2.0),
        ApiKey(digest_of(new.encode()), "shop", Scope.WRITE, 100, 900, 2.0),
    ]


def test_a_revoked_key_is_gone_and_unknown_ones_are_named() -> None:
    store = MemoryStore()
    create_key(store, "shop", Scope.READ, now_ms=1)
    revoke_key(store, "shop")
    assert stored(store) == []
    with pytest.raises(NotFound, match="there is no key 'shop'"):
        revoke_key(store, "shop")
    with pytest.raises(NotFound, match="there is no key 'shop'"):
        rotate_key(store, "shop", now_ms=1, overlap_ms=1)


def test_a_key_limited_to_scenarios_keeps_them_when_it_is_rotated() -> None:
    store = MemoryStore()
    create_key(store, "page", Scope.READ, now_ms=1, scenarios=["homepage", "cart"])
    rotate_key(store, "page", now_ms=2, overlap_ms=0)
    assert [key.scenarios for key in stored(store)] == [("homepage", "cart")] * 2


def test_only_keys_that_read_are_limited_to_scenarios() -> None:
    with pytest.raises(InvalidInput, match="only a key of scope read can be limited to scenarios, got write"):
        create_key(MemoryStore(), "page", Scope.WRITE, now_ms=1, scenarios=["homepage"])
