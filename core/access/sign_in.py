"""Signing in by OpenID Connect: the identity provider, and what a person may do by the claims of their ID token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.records.api_keys import Scope

EVERYBODY = "*"
NAMES = ("email", "preferred_username", "sub")  # claims that name a person, the first that there is


@dataclass(frozen=True, slots=True)
class SignIn:
    """An identity provider, and what people may do. Addresses have no slash at their end.

    `claim`: whose values, one or a list, decide; `granted`: the values that grant each scope.
    """

    issuer: str
    client_id: str
    client_secret: str
    public_url: str
    scopes: str
    claim: str
    granted: Mapping[Scope, Sequence[str]]
    session_ms: int

    @property
    def redirect_url(self) -> str:
        """Where the provider sends people back."""
        return f"{self.public_url}/sign-in/callback"

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the dashboard by HTTPS."""
        return self.public_url.startswith("https:")

    def scope_of(self, claims: Mapping[str, Any]) -> Scope | None:
        """The highest scope that claims grant; None: none. An e-mail address counts only if it is verified."""
        value = claims.get(self.claim, ())
        if self.claim == "email" and claims.get("email_verified") is not True:
            value = ()
        own = {EVERYBODY, *([value] if isinstance(value, str) else map(str, value))}
        return max((scope for scope, values in self.granted.items() if own.intersection(values)), default=None)


def person_of(claims: Mapping[str, Any]) -> str:
    """How a person is named in the audit log; not by an e-mail address that the provider calls unverified."""
    names = ("preferred_username", "sub") if claims.get("email_verified") is False else NAMES
    return str(next(claims[name] for name in names if claims.get(name)))
