"""A model that is about to serve is made ready: recently active users are encoded before anybody asks."""

from __future__ import annotations

import pytest
from domain_doubles import AxisBundle, crown
from domain_shop import Shop
from memory_store.users import MemoryUsers

from core.errors import StoreUnavailable


def test_recently_active_users_are_encoded_before_a_new_model_serves() -> None:
    shop = Shop()
    shop.snapshots.before_switch = shop.recommender.warm
    shop.had("a")
    shop.for_ann()
    encoded = shop.num_encoded
    shop.bundle = AxisBundle("v2")
    crown(shop.store, "v2")
    shop.snapshots.refresh()
    assert shop.num_encoded == 1  # by the new version, before anybody asked
    shop.for_ann()
    assert shop.num_encoded == 1
    assert (encoded, len(shop.vectors)) == (1, 2)


def test_a_database_that_is_away_does_not_keep_a_new_model_from_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    shop.had("a")
    shop.for_ann()

    def away(snapshot: object, keys: object) -> None:
        msg = "away"
        raise StoreUnavailable(msg)

    monkeypatch.setattr(MemoryUsers, "by_key", away)
    assert shop.recommender.warm(shop.snapshots.current()) == 0
