"""The audit log over HTTP: who hid, removed, merged, undid and erased; no user is named."""

from __future__ import annotations

from domain_doubles import NOW_MS
from serving_doubles import Api, Shop

from core.access.key_management import create_key
from core.records.api_keys import Scope
from serving.app import create_app

ADMIN = "admin-key-of-the-settings"


def test_changes_by_hand_are_listed_with_the_name_of_the_key() -> None:
    shop = Shop()
    key = create_key(shop.store, "night-shift", Scope.ADMIN, now_ms=NOW_MS)
    with Api(create_app(shop.with_services(api_key=ADMIN)), headers={"X-API-Key": key}) as api:
        event = {"event_id": "e1", "user_id": "ann", "item_id": "a"}
        api.post("/v1/interactions", json={"events": [event, event | {"event_id": "e2", "user_id": "ben"}]})
        for method, path, body in (
            ("PATCH", "/v1/items/a", {"title": "no entry"}),
            ("PATCH", "/v1/items/a", {"hidden": True}),
            ("DELETE", "/v1/items/b", None),
            ("DELETE", "/v1/items/b", None),  # 404: nothing changed
            ("DELETE", "/v1/interactions/e1", None),
            ("POST", "/v1/users/ann/merge", {"from": "ben"}),
            ("DELETE", "/v1/users/ann", None),
        ):
            api.run(api.client.request(method, path, json=body))
        reply = api.get("/v1/audit")
    entries = [(entry["actor"], entry["action"], entry["target"]) for entry in reply.json()["entries"]]
    assert entries == [
        ("night-shift", "erase user", ""),
        ("night-shift", "merge users", ""),
        ("night-shift", "undo event", ""),
        ("night-shift", "remove item", "b"),
        ("night-shift", "hide or show items", "a"),
    ]
    assert reply.json()["next_before"] is None
    assert "ann" not in reply.text


def test_pages_are_linked_and_bad_parameters_named() -> None:
    shop = Shop()
    with Api(create_app(shop.services)) as api:
        for item_id in "abc":
            api.run(api.client.delete(f"/v1/items/{item_id}"))
        first = api.get("/v1/audit?limit=2").json()
        second = api.get(f"/v1/audit?limit=2&before={first['next_before']}").json()
        wrong = api.get("/v1/audit?before=x")
    targets = [entry["target"] for page in (first, second) for entry in page["entries"]]
    assert targets == ["c", "b", "a"]
    assert {entry["actor"] for entry in first["entries"]} == {"local"}
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "before")


def test_only_admins_read_the_audit_log() -> None:
    shop = Shop()
    key = create_key(shop.store, "shop", Scope.WRITE, now_ms=NOW_MS)
    with Api(create_app(shop.with_services(api_key=ADMIN))) as api:
        assert api.get("/v1/audit", headers={"X-API-Key": key}).status_code == 403
        assert api.get("/v1/audit", headers={"X-API-Key": ADMIN}).status_code == 200
