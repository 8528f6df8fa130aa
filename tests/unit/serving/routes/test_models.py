"""Models over HTTP: promotion and rollback take effect in the next answer; the scopes of API keys."""

from __future__ import annotations

import pytest
from domain_doubles import BruteForceIndex
from doubles import MemoryStore
from serving_doubles import NOW_MS, SHAPE, Api, AxisBundle, Shop

from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.records.stored import ModelRecord
from serving.app import create_app
from serving.http.security import Scope, required_scope

ADMIN, WRITE, READ = "admin-key-of-16-or-more", "write-key-of-16-or-more", "read-key-of-16-or-more."


class Versioned(AxisBundle):
    """A model that says its version."""

    def __init__(self, version: str) -> None:
        self.version = version


def shop_of(*versions: str) -> Shop:
    """A shop whose first version serves; the others are challengers."""
    shop = Shop(MemoryStore(), model=False)
    for age, version in enumerate(versions):
        with shop.store.transaction() as tx:
            status = "challenger" if age else "champion"
            tx.models.save(ModelRecord(version, f"models/{version}", status, NOW_MS + age))
            tx.commit()
    shop.snapshots = SnapshotManager(
        shop.store, load=lambda r: Versioned(r.version), build=BruteForceIndex, shape=SHAPE
    )
    shop.snapshots.refresh()
    return shop


def api_of(shop: Shop) -> Api:
    return Api(create_app(shop.with_services(snapshots=shop.snapshots, items_changed=shop.snapshots.refresh)))


def test_promotion_and_rollback_take_effect_at_once_in_this_process() -> None:
    with api_of(shop_of("a", "b")) as api:
        assert api.get("/v1/models").json()["serving"] == "a"
        promotion = api.post("/v1/models/b/promote", json={"reason": "try"}).json()
        assert (promotion["version"], promotion["previous"], promotion["decided_by"], promotion["reason"]) == (
            "b",
            "a",
            "api",
            "try",
        )
        assert api.get("/v1/models").json()["serving"] == "b"
        assert api.get("/v1/models").json()["rollback_to"] == "a"
        assert api.post("/v1/models/rollback").json()["kind"] == "rollback"
        listed = api.get("/v1/models").json()
    assert listed["serving"] == "a"
    assert {entry["version"]: entry["status"] for entry in listed["models"]} == {"a": "champion", "b": "retired"}
    assert [entry["kind"] for entry in listed["promotions"]] == ["rollback", "promotion"]


def test_invalid_promotions_are_rejected_and_change_nothing() -> None:
    with api_of(shop_of("a", "b")) as api:
        assert api.get("/v1/models/nobody").status_code == 404
        assert api.post("/v1/models/nobody/promote").status_code == 404
        assert api.post("/v1/models/rollback").status_code == 404
        assert api.post("/v1/models/a/promote").json()["error"]["message"] == "model a serves already"
        for body in ({"reason": 5}, {"force": "yes"}, {"why": "x"}, []):
            assert api.post("/v1/models/b/promote", json=body).status_code == 422
        assert api.get("/v1/models").json()["promotions"] == []


def test_a_refused_version_serves_only_by_force() -> None:
    shop = shop_of("a")
    with shop.store.transaction() as tx:
        tx.models.save(ModelRecord("bad", "models/bad", "refused", NOW_MS, {"refused": "worse"}))
        tx.commit()
    with api_of(shop) as api:
        assert "was refused: worse" in api.post("/v1/models/bad/promote").json()["error"]["message"]
        assert api.post("/v1/models/bad/promote", json={"force": True}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/users/u/recommendations", Scope.READ),
        ("GET", "/v1/models", Scope.READ),
        ("GET", "/metrics", Scope.READ),
        ("POST", "/v1/recommendations", Scope.READ),
        ("POST", "/v1/users/u/rank", Scope.READ),
        ("POST", "/v1/interactions", Scope.WRITE),
        ("POST", "/v1/items", Scope.WRITE),
        ("PUT", "/v1/items/a", Scope.WRITE),
        ("DELETE", "/v1/items/a", Scope.WRITE),
        ("DELETE", "/v1/users/u", Scope.ADMIN),
        ("POST", "/v1/models/a/promote", Scope.ADMIN),
        ("POST", "/v1/models/rollback", Scope.ADMIN),
        ("POST", "/v1/anything/new", Scope.ADMIN),
    ],
)
def test_each_call_needs_a_scope_by_default_the_highest(method: str, path: str, scope: Scope) -> None:
    assert required_scope(method, path) == scope


@pytest.mark.parametrize(
    ("key", "ask", "post", "promote"),
    [
        (READ, 200, 403, 403),
        (WRITE, 200, 200, 403),
        (ADMIN, 200, 200, 200),
        ("nobodys-key-of-16", 401, 401, 401),
    ],
)
def test_a_key_grants_its_scope_and_lower_ones(key: str, ask: int, post: int, promote: int) -> None:
    shop = shop_of("a", "b")
    services = shop.with_services(snapshots=shop.snapshots, api_key=ADMIN, write_key=WRITE, read_key=READ)
    with Api(create_app(services), headers={"X-API-Key": key}) as api:
        assert api.get("/v1/users/u/recommendations").status_code == ask
        assert api.post("/v1/interactions", json={"user_id": "u", "item_id": "a"}).status_code == post
        refused = api.post("/v1/models/b/promote")
    assert refused.status_code == promote
    if promote == 403:
        assert "this request needs admin" in refused.json()["error"]["message"]
