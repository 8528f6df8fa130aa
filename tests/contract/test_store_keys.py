"""API keys: secrets are stored as digests, expire together, and are deleted by name."""

from __future__ import annotations

from core.ports.store import Store
from core.records.api_keys import ApiKey, Scope

SHOP = ApiKey(b"a" * 32, "shop", Scope.WRITE, 1, expires_ms=50, max_per_s=2.5)
SHOP_LATER = ApiKey(b"b" * 32, "shop", Scope.WRITE, 2)
REPORTS = ApiKey(b"c" * 32, "reports", Scope.READ, 3, scenarios=("home, page", "cart"))


def add(store: Store, *keys: ApiKey) -> None:
    with store.transaction() as tx:
        for key in keys:
            tx.keys.add(key)
        tx.commit()


def stored(store: Store) -> list[ApiKey]:
    with store.read() as read:
        return read.keys.all()


def test_keys_are_read_as_they_were_stored_by_name_and_age(store: Store) -> None:
    add(store, SHOP_LATER, SHOP, REPORTS)
    assert stored(store) == [REPORTS, SHOP, SHOP_LATER]


def test_secrets_expire_at_a_time_unless_earlier(store: Store) -> None:
    add(store, SHOP, SHOP_LATER, REPORTS)
    with store.transaction() as tx:
        tx.keys.expire("shop", at_ms=60)
        tx.commit()
    assert [key.expires_ms for key in stored(store)] == [None, 50, 60]


def test_a_key_is_deleted_with_all_its_secrets(store: Store) -> None:
    add(store, SHOP, SHOP_LATER, REPORTS)
    with store.transaction() as tx:
        tx.keys.delete("shop")
        tx.commit()
    assert stored(store) == [REPORTS]


def test_expired_and_single_secrets_of_a_key_are_deleted(store: Store) -> None:
    add(store, SHOP, SHOP_LATER, REPORTS)
    with store.transaction() as tx:
        tx.keys.delete_expired("shop", at_ms=49)
        tx.keys.delete_expired("reports", at_ms=100)
        tx.commit()
    assert stored(store) == [REPORTS, SHOP, SHOP_LATER]
    with store.transaction() as tx:
        tx.keys.delete_expired("shop", at_ms=50)
        tx.keys.delete_secret(REPORTS.digest)
        tx.commit()
    assert stored(store) == [SHOP_LATER]
