"""Signing in to the dashboard with an identity provider, from the first redirect to the end of the session."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from services.postgres import free_port
from serving_doubles import NOW_MS, Api, Shop

from core.access.sign_in import SignIn
from core.clock import HOUR_MS
from core.records.api_keys import Scope
from serving.app import create_app

with warnings.catch_warnings(record=True):  # the provider uses what Authlib deprecates
    from oidc_provider_mock import User, run_server_in_thread

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # in the provider

DASHBOARD = {"X-Tidewise-Client": "dashboard"}
PEOPLE = [
    User(sub="ann", claims={"groups": ["it"], "email": "ann@example.com"}),
    User(sub="bob", claims={"groups": ["staff"]}),
    User(sub="eve", claims={"groups": ["guests"]}),
]


@dataclass
class SignInCase:
    """An API, and an identity provider that knows people."""

    api: Api
    shop: Shop
    issuer: str

    def leave(self) -> str:
        """The address at the provider to which a person is sent."""
        response = self.api.get("/sign-in/start")
        assert response.status_code == 302, response.text
        return response.headers["location"]

    def come_back(self, sub: str) -> str:
        """The path with which the provider sends a person back after they have signed in there."""
        response = httpx.post(self.leave(), data={"sub": sub}, trust_env=False)
        return self.path_of(response.headers["location"])

    def enter(self, sub: str) -> httpx.Response:
        """A whole sign-in; the last answer."""
        return self.api.get(self.come_back(sub))

    def ask(self) -> httpx.Response:
        """A request of the dashboard."""
        return self.api.get("/v1/status", headers=DASHBOARD)

    def await_status(self, status: int) -> None:
        """A process reads its keys again every second."""
        deadline_s = time.monotonic() + 30
        while self.ask().status_code != status:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    @staticmethod
    def path_of(url: str) -> str:
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread(require_nonce=True, user_claims=PEOPLE) as provider:
        yield f"http://localhost:{provider.server_port}"


def provider_at(issuer: str) -> SignIn:
    return SignIn(
        issuer=issuer,
        client_id="tidewise",
        client_secret="a-secret-of-the-client",
        public_url="http://localhost",
        scopes="openid email",
        claim="groups",
        granted={Scope.READ: ("staff",), Scope.ADMIN: ("it",)},
        session_ms=HOUR_MS,
    )


@pytest.fixture
def case(issuer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SignInCase]:
    monkeypatch.setattr("serving.routes.sign_in.RELOAD_S", 0.0)
    with signing_in(provider_at(issuer)) as case:
        yield case


@contextmanager
def signing_in(sign_in: SignIn) -> Iterator[SignInCase]:
    shop = Shop()
    with Api(create_app(shop.with_services(api_key="admin-key-of-the-settings", sign_in=sign_in))) as api:
        yield SignInCase(api, shop, sign_in.issuer)


def test_a_person_signs_in_reads_and_signs_out(case: SignInCase) -> None:
    unknown = case.ask()
    assert (unknown.status_code, unknown.headers["x-tidewise-sign-in"]) == (401, "sign-in/start")
    entered = case.enter("bob")
    assert (entered.status_code, entered.headers["location"]) == (303, "http://localhost/")
    case.await_status(200)
    assert case.api.get("/v1/status").status_code == 401, "a page of another site cannot send the header"
    assert case.api.delete("/v1/users/ann", headers=DASHBOARD).status_code == 403
    assert case.api.post("/sign-in/end").status_code == 403
    assert case.ask().status_code == 200, "it was not the dashboard that ended it"
    assert case.api.post("/sign-in/end", headers=DASHBOARD).status_code == 204
    case.await_status(401)


def test_an_admin_is_named_in_the_audit_log_until_the_session_ends(case: SignInCase) -> None:
    case.enter("ann")
    case.await_status(200)
    case.api.post("/v1/interactions", json={"user_id": "u", "item_id": "a", "time": NOW_MS}, headers=DASHBOARD)
    assert case.api.delete("/v1/users/u", headers=DASHBOARD).status_code == 200
    entries = case.api.get("/v1/audit", headers=DASHBOARD).json()["entries"]
    assert [(entry["actor"], entry["action"]) for entry in entries] == [
        ("person:ann@example.com", "erase user"),
        ("person:ann@example.com", "sign in"),
    ]
    case.shop.clock.advance(by_ms=HOUR_MS)
    assert case.ask().status_code == 401


def test_no_script_reads_the_cookie_and_no_other_site_sends_it(case: SignInCase) -> None:
    cookies = case.enter("bob").headers.get_list("set-cookie")
    session = next(cookie for cookie in cookies if cookie.startswith("tidewise_session="))
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in session.split(";")}
    with signing_in(replace(provider_at(case.issuer), public_url="https://shop.example.com")) as https:
        flow = https.api.get("/sign-in/start").headers["set-cookie"]
    assert "secure" in flow.lower()
    assert flow.startswith("__Host-")  # else another host of the domain could end its own sign-in in this browser


def test_with_https_another_host_of_the_domain_sets_no_session(case: SignInCase) -> None:
    secret = case.enter("ann").cookies["tidewise_session"]
    case.await_status(200)
    shop = case.shop.with_services(
        api_key="admin-key-of-the-settings",
        sign_in=replace(provider_at(case.issuer), public_url="https://shop.example"),
    )
    with Api(create_app(shop), headers=DASHBOARD) as https:
        assert https.get("/v1/status", headers={"Cookie": f"tidewise_session={secret}"}).status_code == 401
        assert https.get("/v1/status", headers={"Cookie": f"__Host-tidewise_session={secret}"}).status_code == 200


def test_more_sign_ins_than_the_provider_is_asked_for_at_a_time_wait(
    case: SignInCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = case.come_back("ann")
    with monkeypatch.context() as patched:
        patched.setattr("serving.routes.sign_in.MAX_RUNNING", 0)
        assert case.api.get(path).status_code == 503
    assert case.api.get(path).status_code == 303


def test_who_is_in_no_group_is_told_so(case: SignInCase) -> None:
    answer = case.enter("eve")
    assert answer.status_code == 403
    assert "eve has no access: no value of the claim groups grants it." in answer.text
    assert case.ask().status_code == 401


def test_the_request_proves_itself_and_names_nobody_else(case: SignInCase) -> None:
    asked = parse_qs(urlsplit(case.leave()).query)
    assert (asked["code_challenge_method"], asked["redirect_uri"]) == (["S256"], ["http://localhost/sign-in/callback"])
    assert len(asked["nonce"][0]) >= 20
    assert len(asked["state"][0]) >= 20


@pytest.mark.parametrize("change", ["state", "code", "none", "error"])
def test_an_answer_that_was_not_asked_for_is_refused(case: SignInCase, change: str) -> None:
    asked = parse_qs(urlsplit(case.come_back("ann")).query)
    code, state = asked["code"][0], asked["state"][0]
    query = {
        "state": f"code={code}&state={state[::-1]}",
        "code": f"code=other&state={state}",
        "none": "",
        "error": f"error=access_denied&error_description=%3Cscript%3E&state={state}",
    }[change]
    answer = case.api.get(f"/sign-in/callback?{query}")
    assert answer.status_code == 400
    assert "<script>" not in answer.text
    assert case.ask().status_code == 401


def test_a_callback_counts_once_and_for_its_own_browser(case: SignInCase) -> None:
    path = case.come_back("ann")
    with signing_in(provider_at(case.issuer)) as other:
        assert other.api.get(path).status_code == 400
    assert case.api.get(path).status_code == 303
    assert case.api.get(path).status_code == 400


def test_an_id_token_of_another_issuer_is_refused(case: SignInCase) -> None:
    """The provider names itself in small letters."""
    with signing_in(provider_at(case.issuer.replace("localhost", "LOCALHOST"))) as other:
        answer = other.enter("ann")
    assert answer.status_code == 400
    assert "invalid_claim: Invalid claim: &#x27;iss&#x27;" in answer.text


def test_a_provider_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with signing_in(provider_at(f"http://localhost:{free_port()}")) as case:
        answer = case.api.get("/sign-in/start")
    assert answer.status_code == 503
    assert "does not answer as it should" in answer.text


def test_without_a_provider_there_is_no_sign_in() -> None:
    shop = Shop()
    with Api(create_app(shop.with_services(api_key="admin-key-of-the-settings"))) as api:
        assert api.get("/sign-in/start").status_code == 404
        assert "x-tidewise-sign-in" not in api.get("/v1/status").headers
