"""The settings of the HTTP API: address, keys, TLS, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from core.access.loopback import is_loopback, without_brackets
from tidewise.settings.section import Count, Section, split_names


class ServerSettings(Section):
    """The HTTP API."""

    host: str = "127.0.0.1"
    """The address to listen on; any other than loopback needs `server.api_key`."""
    port: int = Field(8080, ge=0, le=65535)
    """The port to listen on; 0: any free port."""
    processes: int = Field(0, ge=0)
    """How many API processes share the port; 0: of `tidewise up` one per core, of `tidewise serve` one. With more than
    one, the drift monitor has a process of its own."""
    api_key: SecretStr | None = None
    """The API key with all rights (at least 16 printable ASCII characters); empty: no authentication."""
    write_key: SecretStr | None = None
    """An API key for reading, posting events and changing items, not for erasing users or promoting; empty: none."""
    read_key: SecretStr | None = None
    """An API key for reading only; empty: none."""
    tls_certificate: Path | None = None
    """A PEM file with the server's certificate and those that signed it; with it the API speaks HTTPS only."""
    tls_key: Path | None = None
    """A PEM file with the certificate's private key; empty: it is in the file of the certificate."""
    cors_origins: str = ""
    """Origins of web pages that may call the API (CORS), as `https://shop.example`, comma-separated; needs a key."""
    max_batch: Count = 10_000
    """The maximum number of events in a request; more are answered with 413."""
    max_body_mib: Count = 16
    """The maximum size of a request body in MiB; a larger body is answered with 413."""

    @property
    def origins(self) -> tuple[str, ...]:
        """`cors_origins` as a list."""
        return split_names(self.cors_origins)

    @field_validator("host")
    @classmethod
    def _as_an_address(cls, host: str) -> str:
        return without_brackets(host)

    @field_validator("api_key", "write_key", "read_key")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        secret = key.get_secret_value() if key else ""
        if secret and (len(secret) < 16 or not secret.isascii() or not secret.isprintable() or " " in secret):
            msg = "wanted at least 16 printable ASCII characters without spaces; `openssl rand -hex 24` makes one"
            raise ValueError(msg)
        return key if secret else None

    @model_validator(mode="after")
    def _limited_keys_need_api_key(self) -> Self:
        if self.api_key is None and (self.write_key or self.read_key):
            msg = "write_key and read_key allow less than server.api_key; set TIDEWISE_SERVER__API_KEY too"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _cors_needs_api_key(self) -> Self:
        if self.api_key is None and self.cors_origins:
            msg = "cors_origins lets web pages call the API and needs server.api_key; set TIDEWISE_SERVER__API_KEY too"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _key_unless_loopback(self) -> Self:
        if self.api_key is None and not is_loopback(self.host):
            msg = (
                f"listening on {self.host} opens the API to other machines and needs server.api_key; "
                "set TIDEWISE_SERVER__API_KEY, or listen on 127.0.0.1"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _tls_key_needs_certificate(self) -> Self:
        if self.tls_key and not self.tls_certificate:
            msg = "tls_key is the key of server.tls_certificate, which is empty; set both"
            raise ValueError(msg)
        return self

    @property
    def scheme(self) -> str:
        """The scheme of the API's URLs."""
        return "https" if self.tls_certificate else "http"

    @property
    def url(self) -> str:
        """Where a client reaches the API."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"
