"""The settings of signing in to the dashboard by OpenID Connect."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from core.access.loopback import is_loopback
from core.records.api_keys import Scope
from tidewise.settings.section import Amount, Section, split_names


class OidcSettings(Section):
    """Signing in to the dashboard with an identity provider (OpenID Connect); needs the extra `oidc`."""

    issuer: str = ""
    """The address of the identity provider, as in its ID tokens; empty: the dashboard asks for a key."""
    client_id: str = ""
    """The id under which the provider knows this Tidewise."""
    client_secret: SecretStr = SecretStr("")
    """The secret of that client."""
    public_url: str = ""
    """The address at which browsers reach the dashboard; with `/sign-in/callback` behind it, the redirect address to
    register with the provider."""
    scopes: str = "openid profile email"
    """What is asked of the provider; some need `groups` for the claim of that name."""
    claim: str = "groups"
    """The claim of a person, one value or a list, that decides what they may do."""
    readers: str = ""
    """The values of the claim that may read, comma-separated; `*`: everybody who can sign in."""
    writers: str = ""
    """The values of the claim that may also post events and change items; as `oidc.readers`."""
    admins: str = ""
    """The values of the claim that may do everything; as `oidc.readers`."""
    session_hours: Amount = 8.0
    """The hours after which a person signs in again."""

    @field_validator("issuer", "public_url")
    @classmethod
    def _check_address(cls, address: str) -> str:
        parts = urlsplit(address)
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if address and not (secure and parts.hostname and not parts.query and not parts.fragment):
            msg = f"wanted an https address without a query (http only to this machine), got {address!r}"
            raise ValueError(msg)
        return address.rstrip("/")

    @model_validator(mode="after")
    def _issuer_has_a_client(self) -> Self:
        if self.issuer:
            needed = ("client_id", "client_secret", "public_url")
            missing = [name for name in needed if not self._clear(name)]
            if missing:
                msg = f"issuer needs {' and '.join(missing)} too; register Tidewise with the identity provider"
                raise ValueError(msg)
            if not any(self.granted().values()):
                msg = f"issuer needs readers, writers or admins: values of the claim {self.claim}, or * for everybody"
                raise ValueError(msg)
        return self

    def granted(self) -> dict[Scope, tuple[str, ...]]:
        """The values of the claim by the scope that they grant."""
        given = {Scope.READ: self.readers, Scope.WRITE: self.writers, Scope.ADMIN: self.admins}
        return {scope: split_names(values) for scope, values in given.items()}

    def _clear(self, name: str) -> str:
        value = getattr(self, name)
        return value.get_secret_value() if isinstance(value, SecretStr) else value
