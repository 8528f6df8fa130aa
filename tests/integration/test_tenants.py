"""Tenants have a data folder, a process set and keys each: what one sees and does, the other does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from serving_doubles import NOW_MS, Api, Shop

from core.access.key_management import create_key
from core.records.api_keys import Scope
from serving.app import create_app
from storage import open_store

FORBIDDEN = 401


@contextmanager
def tenant(folder: Path) -> Iterator[tuple[Api, dict[str, str]]]:
    """The API of a tenant's own database, and the headers with the tenant's own key."""
    folder.mkdir()
    with closing(open_store(f"sqlite:///{folder / 'tidewise.db'}")) as store:
        shop = Shop(store)
        key = create_key(store, "shop", Scope.ADMIN, now_ms=NOW_MS)
        with Api(create_app(shop.with_services(api_key=f"of {folder.name}"))) as api:
            yield api, {"X-API-Key": key}


def test_a_tenant_has_no_access_to_another_and_shares_no_id(tmp_path: Path) -> None:
    with tenant(tmp_path / "a") as (api_a, key_a), tenant(tmp_path / "b") as (api_b, key_b):
        event = {"event_id": "e1", "user_id": "ann", "item_id": "a", "time": NOW_MS}
        assert api_a.post("/v1/interactions", json=event, headers=key_a).json()["accepted"] == 1
        assert api_b.get("/v1/users", headers=key_a).status_code == FORBIDDEN
        assert api_b.delete("/v1/users/ann", headers=key_a).status_code == FORBIDDEN
        assert api_b.get("/v1/users", headers=key_b).json()["users"] == []
        assert api_b.post("/v1/interactions", json=event, headers=key_b).json()["accepted"] == 1
        api_b.delete("/v1/users/ann", headers=key_b)
        assert len(api_a.get("/v1/users", headers=key_a).json()["users"]) == 1
