"""Signing in to the dashboard by an identity provider, and signing out.

The authorization code flow with PKCE, by Authlib, which checks state, nonce, signature, issuer, audience and times of
the ID token (OpenID Connect Core 1.0, section 3.1). Whoever may enter gets a session: a key that expires, in a cookie
that no script can read.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import logging
from collections.abc import Mapping
from typing import Any

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from core.access.audit import AuditedStore
from core.access.sessions import PREFIX, end_session, open_session
from core.access.sign_in import SignIn, person_of
from core.errors import TidewiseError
from serving.http.keys import RELOAD_S
from serving.http.session_cookie import MARKER_COOKIE, cookie_name, session_secret
from serving.runtime.engine import Engine

_log = logging.getLogger(__name__)

FLOW_COOKIE, FLOW_S = "tidewise_sign_in", 600  # between leaving for the provider and coming back
PROVIDER_TIMEOUT_S = 10.0
MAX_RUNNING = 100  # sign-ins of a process at a time
PROVIDER_ERRORS = (httpx2.HTTPError, RuntimeError, ValueError)  # it is unavailable, or its answer is invalid
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class SignInRoutes:
    """The paths below `/sign-in`."""

    def __init__(self, engine: Engine, sign_in: SignIn) -> None:
        self._engine = engine
        self._services = engine.services
        self._sign_in = sign_in
        self._cookie = cookie_name(is_https=sign_in.is_https)
        self._num_running = 0
        self._provider = OAuth().register(
            "provider",
            client_id=sign_in.client_id,
            client_secret=sign_in.client_secret,
            server_metadata_url=f"{sign_in.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": sign_in.scopes,
                "code_challenge_method": "S256",
                "timeout": PROVIDER_TIMEOUT_S,
                "trust_env": False,
                "verify": httpx2.create_ssl_context(trust_env=False),  # 50 ms: made once, not for each sign-in
            },
        )

    def app(self) -> ASGIApp:
        """The paths as an application of their own, with a signed cookie that holds state, nonce and code verifier."""
        routes = [
            Route("/start", self.start, methods=["GET"]),
            Route("/callback", self.callback, methods=["GET"]),
            Route("/end", self.end, methods=["POST"]),
        ]
        secret = hashlib.sha256(b"sign-in:" + self._services.cursor_key).hexdigest()  # the same in all processes
        return SessionMiddleware(
            Starlette(routes=routes),
            secret_key=secret,
            session_cookie=cookie_name(FLOW_COOKIE, is_https=self._sign_in.is_https),
            max_age=FLOW_S,
            same_site="lax",  # the provider sends people back from its own site
            https_only=self._sign_in.is_https,
        )

    async def start(self, request: Request) -> Response:
        """Redirect to the provider."""
        try:
            response: Response = await self._provider.authorize_redirect(request, self._sign_in.redirect_url)
        except PROVIDER_ERRORS as error:
            return self._unavailable(error)
        response.headers.update(HEADERS)
        return response

    async def callback(self, request: Request) -> Response:
        """Begin a session for a person whom the provider sends back; at most `MAX_RUNNING` at a time."""
        if self._num_running >= MAX_RUNNING:
            return _page("Too many sign-ins are in progress; try again in a moment.", status=503)
        self._num_running += 1
        try:
            return await self._begin(request)
        finally:
            self._num_running -= 1

    async def _begin(self, request: Request) -> Response:
        try:
            claims = await self._claims(request)
        except PROVIDER_ERRORS as error:
            return self._unavailable(error)
        except (OAuthError, JoseError) as error:
            _log.warning("a sign-in was refused: %s", error)
            return _page(f"The sign-in failed: {error}.", status=400)
        person, scope = person_of(claims), self._sign_in.scope_of(claims)
        if scope is None:
            _log.warning("%r signed in, but no value of the claim %r grants access", person, self._sign_in.claim)
            return _page(f"{person} has no access: no value of the claim {self._sign_in.claim} grants it.", status=403)
        now_ms = self._services.wall.now_ms()
        expires_ms = now_ms + self._sign_in.session_ms
        store = AuditedStore(self._services.store, f"{PREFIX}{person}", "sign in", scope.name.lower())
        try:
            secret = await self._engine.executor.run(
                lambda: open_session(store, person, scope, now_ms=now_ms, expires_ms=expires_ms)
            )
        except TidewiseError as error:
            return _page(f"The sign-in failed: {error}.", status=503)
        await asyncio.sleep(2 * RELOAD_S)  # until every process knows the session
        request.session.clear()
        response = RedirectResponse(f"{self._sign_in.public_url}/", status_code=303, headers=HEADERS)
        seconds, secure = self._sign_in.session_ms // 1000, self._sign_in.is_https
        response.set_cookie(self._cookie, secret, max_age=seconds, secure=secure, httponly=True, samesite="strict")
        response.set_cookie(MARKER_COOKIE, "yes", max_age=seconds, secure=secure, samesite="strict")
        return response

    async def end(self, request: Request) -> Response:
        """End the session; only for the dashboard."""
        secret = session_secret(request.scope["headers"], self._cookie)
        if secret is None:
            return _page("Only the dashboard can end a session.", status=403)
        await self._engine.executor.run(lambda: end_session(self._services.store, secret))
        response = Response(status_code=204, headers=HEADERS)
        for name in (self._cookie, MARKER_COOKIE):
            response.delete_cookie(name, secure=self._sign_in.is_https, samesite="strict")
        return response

    async def _claims(self, request: Request) -> Mapping[str, Any]:
        """The checked claims of the ID token, with those of the user info if only that has the deciding claim."""
        issuers = [self._sign_in.issuer, f"{self._sign_in.issuer}/"]
        token = await self._provider.authorize_access_token(
            request, claims_options={"iss": {"essential": True, "values": issuers}}
        )
        claims: Mapping[str, Any] | None = token.get("userinfo")
        if claims is None:
            raise OAuthError(error="no_id_token", description="the identity provider sent no ID token")
        if self._sign_in.claim in claims:
            return claims
        more = await self._provider.userinfo(token=token)
        if more.get("sub") != claims["sub"]:
            raise OAuthError(error="other_subject", description="the user info is of another person")
        return {**more, **claims}

    def _unavailable(self, error: Exception) -> Response:
        _log.error("the identity provider %s: %s", self._sign_in.issuer, error)
        return _page(f"The identity provider {self._sign_in.issuer} does not answer as it should.", status=503)


def _page(message: str, *, status: int) -> Response:
    """A page for a person."""
    text = f'<!doctype html><meta charset="utf-8"><title>Sign in · Tidewise</title><p>{html.escape(message)}</p>'
    return HTMLResponse(f'{text}<p><a href="start">Sign in again</a></p>', status_code=status, headers=HEADERS)
