"""Access by key, host and origin; unexpected errors and unknown paths."""

from __future__ import annotations

import logging

import pytest
from doubles import MemoryStore
from serving_doubles import Api, Shop

from core.errors import InvalidSettings
from serving.app import create_app
from serving.http.security import check_exposure

KEY = "a-key-of-sixteen-characters"
PROTECTED = [
    ("GET", "/v1/users/u/recommendations"),
    ("GET", "/v1/status"),
    ("GET", "/v1/no/such/path"),
    ("GET", "//v1/status"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_v1_requires_the_key_if_one_is_set(method: str, path: str) -> None:
    with Api(create_app(Shop().with_services(api_key=KEY))) as api:
        reply = api.get(f"http://localhost{path}")
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert reply.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"X-API-Key": KEY}]
)
def test_the_key_is_taken_from_either_header(headers: dict[str, str]) -> None:
    with Api(create_app(Shop().with_services(api_key=KEY)), headers=headers) as api:
        assert api.get("/v1/status").status_code == 200


@pytest.mark.parametrize("value", [KEY[:-1], KEY + "x", KEY.upper(), "", "ü"])
def test_a_wrong_key_is_refused(value: str) -> None:
    with Api(create_app(Shop().with_services(api_key=KEY))) as api:
        assert api.get("/v1/status", headers={"X-API-Key": value.encode()}).status_code == 401
        assert api.get("/v1/status", headers={"Authorization": b"Bearer " + value.encode()}).status_code == 401
        assert api.get("/v1/status", headers={"Authorization": b"Basic " + KEY.encode()}).status_code == 401


@pytest.mark.parametrize("path", ["/", "/docs", "/pages/index.html", "/health", "/ready", "/openapi.json"])
def test_probes_and_dashboard_files_need_no_key(path: str) -> None:
    with Api(create_app(Shop().with_services(api_key=KEY))) as api:
        assert api.get(path).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_an_api_without_a_key_may_listen_on_loopback(host: str) -> None:
    check_exposure(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.example.org"])
@pytest.mark.parametrize("key", [None, ""])
def test_an_api_without_a_key_may_not_listen_elsewhere(host: str, key: str | None) -> None:
    with pytest.raises(InvalidSettings, match=r"needs server\.api_key; set TIDEWISE_SERVER__API_KEY"):
        check_exposure(host, key)
    check_exposure(host, KEY)


ELSEWHERE = {
    "a host name pointed at this machine": {"Host": "evil.example"},
    "such a host with a port": {"Host": "evil.example:8080"},
    "an address of another machine": {"Host": "192.0.2.7:8080"},
    "a host that is no host": {"Host": "[::1"},
    "a page of another site": {"Origin": "https://evil.example"},
    "a page of another port of this machine": {"Origin": "http://localhost:3000"},
    "a page without a site": {"Origin": "null"},
    "an image in a page of another site": {"Sec-Fetch-Site": "cross-site"},
    "a script in a page of another port": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_without_a_key_only_this_machine_has_access(headers: dict[str, str]) -> None:
    with Api(create_app(Shop().services)) as api:
        reply = api.post("/v1/interactions", json={"user_id": "u", "item_id": "a"}, headers=headers)
        events = api.get("/v1/status").json()["events"]
    assert (reply.status_code, reply.json()["error"]["code"], events) == (403, "forbidden", 0)
    assert "set server.api_key" in reply.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"])
def test_loopback_hosts_and_the_own_page_have_access(host: str) -> None:
    with Api(create_app(Shop().services)) as api:
        assert api.get("/v1/status", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


def test_of_two_hosts_none_may_be_of_elsewhere() -> None:
    with Api(create_app(Shop().services)) as api:
        for hosts in (["evil.example", "localhost"], ["localhost", "evil.example"]):
            assert api.get("/v1/status", headers=[("Host", host) for host in hosts]).status_code == 403


def test_other_sites_may_link_to_the_dashboard_but_read_no_data_by_it() -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    with Api(create_app(Shop().services)) as api:
        assert [api.get(path, headers=link).status_code for path in ("/", "/v1/status")] == [200, 403]
        assert api.get("/v1/status", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_with_a_key_any_host_and_origin_have_access() -> None:
    headers = {"Host": "shop.example", "Origin": "https://shop.example", "X-API-Key": KEY}
    with Api(create_app(Shop().with_services(api_key=KEY)), headers=headers) as api:
        assert api.get("/v1/status").status_code == 200


def test_an_unexpected_error_is_500_without_internals_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    class FailingStore(MemoryStore):
        failing = False

        def read(self, *, snapshot=True):  # type: ignore[no-untyped-def]
            if self.failing:
                msg = "password=hunter2 at /srv/secret.db"
                raise RuntimeError(msg)
            return super().read(snapshot=snapshot)

    store = FailingStore()
    shop = Shop(store)
    store.failing = True
    with Api(create_app(shop.services)) as api, caplog.at_level(logging.ERROR):
        reply = api.get("/v1/users/u/recommendations")
        store.failing = False
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal"
    assert "hunter2" not in reply.text
    assert "RuntimeError: password=hunter2" in caplog.text


def test_answers_and_errors_are_kept_by_no_cache() -> None:
    with Api(create_app(Shop().services)) as api:
        replies = [api.get("/v1/users/u/recommendations"), api.get("/v2/what"), api.post("/v1/status")]
    for reply in replies:
        assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_unknown_paths_and_wrong_methods_have_the_error_shape() -> None:
    with Api(create_app(Shop().services)) as api:
        missing, wrong = api.get("/v2/what"), api.post("/v1/status")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_such_path")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "wrong_method")
    assert wrong.headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/docs"])
def test_probes_may_send_head(path: str) -> None:
    with Api(create_app(Shop().services)) as api:
        assert api.run(api.client.head(path)).status_code == 200


def test_pages_of_configured_origins_may_call_the_api() -> None:
    services = Shop().with_services(api_key="a" * 16, cors_origins=("https://shop.example",))
    asks = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}
    with Api(create_app(services)) as api:
        preflights = [
            api.run(api.client.options("/v1/items/a", headers={"Origin": origin} | asks))
            for origin in ("https://shop.example", "https://other.example")
        ]
        refused = api.get("/v1/users", headers={"Origin": "https://shop.example"})
    assert [reply.status_code for reply in preflights] == [200, 400]
    assert preflights[0].headers["access-control-allow-origin"] == "https://shop.example"
    assert refused.status_code == 401, "a key is needed all the same"
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"


def test_the_write_key_patches_undoes_and_merges_but_erases_no_user() -> None:
    services = Shop().with_services(api_key=KEY, write_key="w" * 16, read_key="r" * 16)
    changes: list[tuple[str, str, dict[str, object] | None]] = [
        ("PATCH", "/v1/items/a", {"hidden": True}),
        ("PATCH", "/v1/items", {"items": [{"item_id": "a"}]}),
        ("DELETE", "/v1/interactions/e1", None),
        ("POST", "/v1/users/ann/merge", {"from": "guest"}),
        ("DELETE", "/v1/users/ann", None),
    ]
    with Api(create_app(services)) as api:
        api.post(
            "/v1/interactions", json={"event_id": "e1", "user_id": "ann", "item_id": "a"}, headers={"X-API-Key": KEY}
        )
        statuses = {
            key: [
                api.run(api.client.request(method, path, json=body, headers={"X-API-Key": key * 16})).status_code
                for method, path, body in changes
            ]
            for key in "rw"
        }
    assert statuses == {"r": [403] * 5, "w": [200, 200, 200, 200, 403]}
