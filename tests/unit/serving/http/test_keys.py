"""Keys of the database: scopes, expiry, rotation, revocation and rate limits, without a restart."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from doubles import MemoryStore
from hypothesis import given
from hypothesis import strategies as st
from serving_doubles import Api, Shop

from core.access.key_management import create_key, revoke_key, rotate_key
from core.clock import ManualClock
from core.errors import StoreUnavailable
from core.records.api_keys import Scope, digest_of
from serving.app import create_app
from serving.http.keys import KeyRing
from serving.http.rate_limit import TokenBucket, shared_path

ADMIN = "admin-key-of-the-settings"
NOW_MS = 1_700_000_000_000


class Seconds:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Ring:
    """A key ring over a store in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(NOW_MS)
        self.seconds = Seconds()
        given = {Scope.ADMIN: ADMIN, Scope.WRITE: None}
        self.ring = KeyRing(self.store, given=given, wall=self.clock, monotonic_s=self.seconds)

    def create(self, name: str, scope: Scope = Scope.READ, **options: float) -> str:
        secret = create_key(self.store, name, scope, now_ms=self.clock.now_ms(), **options)  # type: ignore[arg-type]
        self.ring.reload()
        return secret

    def scope(self, secret: str) -> Scope | None:
        access = self.ring.granted([(b"x-api-key", secret.encode())])
        return access.scope if access else None


def test_a_key_of_the_database_grants_its_scope() -> None:
    keys = Ring()
    assert keys.scope(keys.create("shop", Scope.WRITE)) == Scope.WRITE
    assert keys.scope(ADMIN) == Scope.ADMIN
    assert keys.scope("another") is None


def test_a_secret_is_looked_up_by_its_digest_and_compared_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Secret(bytes):
        """Bytes that fail where they are compared or hashed, whose duration depends on them."""

        def __eq__(self, other: object) -> bool:
            raise AssertionError("a secret was compared")

        def __hash__(self) -> int:
            raise AssertionError("a secret was hashed by Python")

    keys = Ring()
    sent = [keys.create("shop"), ADMIN, ADMIN[:-1], "another"]
    monkeypatch.setattr("serving.http.keys._secrets", lambda headers, cookie: [Secret(value) for _, value in headers])
    assert [keys.scope(secret) for secret in sent] == [Scope.READ, Scope.ADMIN, None, None]


def test_a_ring_holds_no_secret() -> None:
    keys = Ring()
    secret = keys.create("shop")
    held = repr(vars(keys.ring))
    assert repr(digest_of(secret.encode())) in held
    assert secret not in held
    assert ADMIN not in held


def test_of_two_secrets_the_higher_scope_counts() -> None:
    keys = Ring()
    secret = keys.create("reports").encode()
    access = keys.ring.granted([(b"x-api-key", secret), (b"authorization", b"Bearer " + ADMIN.encode())])
    assert access is not None
    assert access.scope == Scope.ADMIN


def test_an_expired_key_grants_nothing() -> None:
    keys = Ring()
    secret = keys.create("shop", expires_ms=NOW_MS + 10)
    keys.clock.time_ms = NOW_MS + 9
    assert keys.scope(secret) == Scope.READ
    keys.clock.time_ms = NOW_MS + 10
    assert keys.scope(secret) is None


def test_both_secrets_are_valid_during_the_overlap_of_a_rotation() -> None:
    keys = Ring()
    old = keys.create("shop")
    new = rotate_key(keys.store, "shop", now_ms=NOW_MS, overlap_ms=50)
    keys.ring.reload()
    assert (keys.scope(old), keys.scope(new)) == (Scope.READ, Scope.READ)
    keys.clock.time_ms = NOW_MS + 50
    assert (keys.scope(old), keys.scope(new)) == (None, Scope.READ)


def test_a_revoked_key_grants_nothing_after_the_next_read() -> None:
    keys = Ring()
    secret = keys.create("shop")
    revoke_key(keys.store, "shop")
    keys.ring.reload()
    assert keys.scope(secret) is None


def test_known_keys_stay_valid_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Ring()
    secret = keys.create("shop")

    def unavailable(**_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(keys.store, "read", unavailable)
    with pytest.raises(StoreUnavailable):
        keys.ring.reload()
    assert keys.scope(secret) == Scope.READ


def test_the_secrets_of_a_key_share_its_rate_limit() -> None:
    keys = Ring()
    old = keys.create("shop", max_per_s=1.0)
    new = rotate_key(keys.store, "shop", now_ms=NOW_MS, overlap_ms=50)
    keys.ring.reload()
    buckets = {
        access.bucket for secret in (old, new) if (access := keys.ring.granted([(b"x-api-key", secret.encode())]))
    }
    assert len(buckets) == 1


@given(max_per_s=st.floats(0.1, 50), waits_s=st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_a_bucket_never_allows_more_than_rate_and_burst(max_per_s: float, waits_s: list[float]) -> None:
    seconds = Seconds()
    bucket, num_allowed = TokenBucket(max_per_s, now_s=seconds), 0
    for wait_s in waits_s:
        seconds.now += wait_s
        num_allowed += bucket.take() == 0
    assert num_allowed <= max(1.0, max_per_s) + max_per_s * sum(waits_s) + 1e-6


@given(max_per_s=st.floats(0.1, 50))
def test_a_request_after_the_told_wait_is_allowed(max_per_s: float) -> None:
    seconds = Seconds()
    bucket = TokenBucket(max_per_s, now_s=seconds)
    while not (wait_s := bucket.take()):
        pass
    seconds.now += wait_s + 1e-9
    assert bucket.take() == 0


def test_processes_that_share_a_folder_share_the_limit_of_each_key(tmp_path: Path) -> None:
    seconds = Seconds()
    of_shop, again, of_partner = (
        TokenBucket(1.0, now_s=seconds, path=shared_path(tmp_path / "limits", name, 1.0))
        for name in ("shop", "shop", "partner")
    )
    assert of_shop.take() == 0
    assert again.take() == pytest.approx(1.0)
    assert of_partner.take() == 0


def test_a_process_that_starts_again_finds_its_bucket_as_it_was(tmp_path: Path) -> None:
    path, seconds = tmp_path / "bucket", Seconds()
    assert TokenBucket(1.0, now_s=seconds, path=path).take() == 0
    assert TokenBucket(1.0, now_s=seconds, path=path).take() > 0


def test_a_process_that_is_suspended_with_the_lock_stops_no_other(tmp_path: Path) -> None:
    path = tmp_path / "bucket"
    bucket = TokenBucket(1.0, now_s=Seconds(), path=path)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert bucket.take() == 0


def test_a_server_accepts_limits_and_answers_429_with_a_time() -> None:
    shop = Shop()
    secret = create_key(shop.store, "shop", Scope.READ, now_ms=NOW_MS, max_per_s=0.5)
    headers = {"X-API-Key": secret}
    with Api(create_app(shop.with_services(api_key=ADMIN))) as api:
        first, second = (api.get("/v1/users", headers=headers) for _ in range(2))
        other = api.get("/v1/users", headers={"X-API-Key": ADMIN})
    assert (first.status_code, other.status_code) == (200, 200)
    assert (second.status_code, second.headers["retry-after"]) == (429, "2")
    assert second.json()["error"]["code"] == "too_many_requests"


def test_a_refusal_names_both_scopes_and_no_secret() -> None:
    shop = Shop()
    secret = create_key(shop.store, "shop", Scope.WRITE, now_ms=NOW_MS)
    with Api(create_app(shop.with_services(api_key=ADMIN))) as api:
        reply = api.run(api.client.delete("/v1/users/ann", headers={"X-API-Key": secret}))
    message = "this key has the scope write; this request needs admin"
    assert (reply.status_code, reply.json()["error"]["message"]) == (403, message)


def test_a_key_limited_to_scenarios_asks_for_their_items_and_nothing_else() -> None:
    shop = Shop()
    secret = create_key(shop.store, "page", Scope.READ, now_ms=NOW_MS, scenarios=["home"])
    user, session = "/v1/users/ann/recommendations", "/v1/recommendations"
    with Api(create_app(shop.with_services(api_key=ADMIN)), headers={"X-API-Key": secret}) as api:
        for name in ("home", "cart"):
            api.put(f"/v1/scenarios/{name}", json={"n": 2}, headers={"X-API-Key": ADMIN})
        permitted = [
            api.get(f"{user}?scenario=home"),
            api.post(session, json={"scenario": "home"}),
            api.post(session, json={"users": ["ann"], "scenario": "home"}),
        ]
        refused = [
            api.get(user),
            api.get(f"{user}?scenario=cart"),
            api.post(session, json={}),
            api.post(session, json={"users": ["ann"], "scenario": "cart"}),
            api.get("/v1/users"),
            api.get("/v1/items/popular?scenario=home"),
            api.post("/v1/scenarios/preview", json={"definition": {}}),
        ]
    assert [reply.status_code for reply in permitted] == [200] * 3
    assert [reply.status_code for reply in refused] == [403] * 7
    message = "scenario: this key is limited to home; this request names 'cart'"
    assert refused[1].json()["error"] == {"code": "forbidden", "message": message, "field": "scenario"}
    assert refused[4].json()["error"]["message"] == "this key may only ask for recommendations by home"


def test_a_key_limited_to_scenarios_reads_no_events_of_a_user() -> None:
    shop = Shop()
    secret = create_key(shop.store, "page", Scope.READ, now_ms=NOW_MS, scenarios=["home"])
    with Api(create_app(shop.with_services(api_key=ADMIN)), headers={"X-API-Key": secret}) as api:
        api.put("/v1/scenarios/home", json={"n": 2}, headers={"X-API-Key": ADMIN})
        refused = [
            api.get("/v1/users/ann/recommendations?scenario=home&explain=full"),
            api.post("/v1/recommendations", json={"user_id": "ann", "scenario": "home", "explain": "full"}),
            api.post("/v1/recommendations", json={"users": ["ann"], "scenario": "home", "explain": "full"}),
        ]
    assert [(reply.status_code, reply.json()["error"]["field"]) for reply in refused] == [(403, "explain")] * 3
