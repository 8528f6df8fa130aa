"""ID tokens that a provider would not send, or not to this client: signed otherwise, of others, too old, too early."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from serving_doubles import Api, Shop

from core.access.sign_in import SignIn
from core.clock import HOUR_MS
from core.records.api_keys import Scope
from serving.app import create_app

CLIENT = "tidewise"
DASHBOARD = {"X-Tidewise-Client": "dashboard"}
OWN, FOREIGN, TWIN = (RSAKey.generate_key(2048, {"kid": kid}) for kid in ("own", "own", "twin"))
Token = Callable[["HostileProvider", dict[str, Any]], str]


class HostileProvider(ThreadingHTTPServer):
    """A provider that answers each code with the token that a test sets; `keys`: those that it publishes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.keys: list[RSAKey] = [OWN]
        self.token: str | None = None

    def metadata(self) -> dict[str, object]:
        paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return {
            "issuer": self.issuer,
            "id_token_signing_alg_values_supported": ["RS256"],
            **{name: f"{self.issuer}/{path}" for name, path in paths.items()},
        }


class _Answers(BaseHTTPRequestHandler):
    server: HostileProvider

    def do_GET(self) -> None:
        is_metadata = self.path.startswith("/.well-known/")
        self._answer(
            self.server.metadata()
            if is_metadata
            else {"keys": [key.as_dict(private=False) for key in self.server.keys]}
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": self.server.token})

    def log_message(self, *_arguments: object) -> None:
        pass

    def _answer(self, body: dict[str, object]) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)


@pytest.fixture(scope="module")
def provider() -> Iterator[HostileProvider]:
    with HostileProvider() as provider:
        thread = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield provider
        provider.shutdown()
        thread.join(timeout=30)


@pytest.fixture
def api(provider: HostileProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr("serving.routes.sign_in.RELOAD_S", 0.0)
    provider.keys = [OWN]
    sign_in = SignIn(
        issuer=provider.issuer,
        client_id=CLIENT,
        client_secret="a-secret-of-the-client",
        public_url="http://localhost",
        scopes="openid",
        claim="groups",
        granted={Scope.READ: ("staff",)},
        session_ms=HOUR_MS,
    )
    with Api(create_app(Shop().with_services(api_key="admin-key-of-the-settings", sign_in=sign_in))) as api:
        yield api


def claims(provider: HostileProvider, nonce: str) -> dict[str, Any]:
    """Those of a token that lets its person in."""
    now_s = int(time.time())
    times = {"iat": now_s, "exp": now_s + 300}
    return {"iss": provider.issuer, "sub": "bob", "aud": CLIENT, "nonce": nonce, "groups": ["staff"], **times}


def signed(asserted: dict[str, Any], key: RSAKey = OWN, **header: object) -> str:
    return jwt.encode({"alg": "RS256", "kid": "own", **header}, asserted, key)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def by_hand(header: dict[str, object], asserted: dict[str, Any], secret: bytes | None = None) -> str:
    """A token without a signature, or with one by a shared secret, which a library might refuse to make."""
    text = f"{encoded(header)}.{encoded(asserted)}"
    if secret is None:
        return f"{text}."
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def by_public_key(_provider: HostileProvider, asserted: dict[str, Any]) -> str:
    return by_hand({"alg": "HS256", "kid": "own"}, asserted, OWN.as_pem(private=False))


def with_own_key_inside(_provider: HostileProvider, asserted: dict[str, Any]) -> str:
    return signed(asserted, FOREIGN, kid="inside", jwk=FOREIGN.as_dict(private=False))


def with_key_elsewhere(provider: HostileProvider, asserted: dict[str, Any]) -> str:
    return signed(asserted, FOREIGN, kid="elsewhere", jku=f"{provider.issuer}/jwks")


def changed(**changes: object) -> Token:
    """Signed as it should be, with other claims; None: without that claim."""

    def token(_provider: HostileProvider, asserted: dict[str, Any]) -> str:
        return signed({name: value for name, value in {**asserted, **changes}.items() if value is not None})

    return token


def with_altered_claims(_provider: HostileProvider, asserted: dict[str, Any]) -> str:
    head, _, signature = signed(asserted).split(".")
    return f"{head}.{encoded({**asserted, 'sub': 'ann'})}.{signature}"


REFUSED: dict[str, Token] = {
    "no algorithm": lambda _, asserted: by_hand({"alg": "none"}, asserted),
    "no algorithm, in other letters": lambda _, asserted: by_hand({"alg": "NonE", "kid": "own"}, asserted),
    "HS256 by the public key": by_public_key,
    "HS256 by the client's secret": lambda _, asserted: by_hand({"alg": "HS256"}, asserted, b"a-secret-of-the-client"),
    "HS256 by nothing": lambda _, asserted: by_hand({"alg": "HS256", "kid": "own"}, asserted, b""),
    "another key of the same name": lambda _, asserted: signed(asserted, FOREIGN),
    "a key within": with_own_key_inside,
    "a key elsewhere": with_key_elsewhere,
    "claims changed after signing": with_altered_claims,
    "another audience": changed(aud="other"),
    "no audience": changed(aud=None),
    "another party beside": changed(aud=[CLIENT, "other"], azp="other"),
    "another party": changed(azp="other"),
    "another issuer": changed(iss="https://other.example"),
    "no issuer": changed(iss=None),
    "another nonce": changed(nonce="other"),
    "no nonce": changed(nonce=None),
    "expired": changed(exp=1_000_000_000),
    "no end": changed(exp=None),
    "issued in future": changed(iat=4_000_000_000),
    "not valid yet": changed(nbf=4_000_000_000),
    "nobody": changed(sub=None),
}


def sign_in(api: Api, provider: HostileProvider, token: Token, *, state: str | None = None) -> int:
    """The status of the whole sign-in with that token."""
    asked = parse_qs(urlsplit(api.get("/sign-in/start").headers["location"]).query)
    provider.token = token(provider, claims(provider, asked["nonce"][0]))
    return api.get(f"/sign-in/callback?code=c&state={state or asked['state'][0]}").status_code


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
def test_a_token_that_is_not_meant_for_this_sign_in_is_refused(
    api: Api, provider: HostileProvider, token: Token
) -> None:
    assert sign_in(api, provider, token) == 400
    assert api.get("/v1/status", headers=DASHBOARD).status_code == 401


def test_a_token_as_it_should_be_lets_its_person_in(api: Api, provider: HostileProvider) -> None:
    assert sign_in(api, provider, changed()) == 303
    assert sign_in(api, provider, changed(aud=[CLIENT, "other"], azp=CLIENT)) == 303


@pytest.mark.parametrize("keys", [[OWN, FOREIGN], [FOREIGN, OWN]])
def test_keys_of_the_same_name_let_nobody_else_in(api: Api, provider: HostileProvider, keys: list[RSAKey]) -> None:
    provider.keys = keys
    assert sign_in(api, provider, lambda _, asserted: signed(asserted, TWIN)) == 400


def test_a_state_counts_once(api: Api, provider: HostileProvider) -> None:
    asked = parse_qs(urlsplit(api.get("/sign-in/start").headers["location"]).query)
    provider.token = signed(claims(provider, asked["nonce"][0]))
    path = f"/sign-in/callback?code=c&state={asked['state'][0]}"
    assert [api.get(path).status_code for _ in range(2)] == [303, 400]
    assert sign_in(api, provider, changed(), state=asked["state"][0]) == 400


@pytest.mark.parametrize("query", ["next=//evil.example", "redirect_uri=https://evil.example", "return_to=/%5cevil"])
def test_nobody_is_sent_elsewhere_after_a_sign_in(api: Api, provider: HostileProvider, query: str) -> None:
    left = api.get(f"/sign-in/start?{query}", headers={"X-Forwarded-Host": "evil.example"})
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    assert asked["redirect_uri"] == ["http://localhost/sign-in/callback"]
    provider.token = signed(claims(provider, asked["nonce"][0]))
    entered = api.get(f"/sign-in/callback?code=c&state={asked['state'][0]}&{query}")
    assert (entered.status_code, entered.headers["location"]) == (303, "http://localhost/")
