"""The API keys that this process accepts: those of the settings, and those of the database, read again every second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.ports.store import Store
from core.records.api_keys import ApiKey, Scope, digest_of
from serving.http.rate_limit import TokenBucket, shared_path
from serving.http.session_cookie import COOKIE, session_secret

RELOAD_S = 1.0  # how soon a new key is accepted and a revoked one refused
SETTINGS_NAME = "settings"


@dataclass(frozen=True, slots=True)
class Access:
    """What a key grants: its name, its scope, until when (ms, None: always), how often, and by which scenarios."""

    name: str
    scope: Scope
    expires_ms: int | None = None
    bucket: TokenBucket | None = None
    scenarios: tuple[str, ...] = ()


class KeyRing:
    """Finds the key of a request by its digest, so that a comparison's duration reveals nothing about a secret."""

    def __init__(
        self,
        store: Store,
        *,
        given: Mapping[Scope, str | None],
        wall: Clock,
        cookie: str = COOKIE,
        rate_limits: Path | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`given`: the secrets of the settings, which are valid as long as the process runs. `cookie`: of sessions.

        `rate_limits`: the folder by which processes share the limits of keys; None: each has its own.
        """
        self._store = store
        self._wall = wall
        self._cookie = cookie
        self._rate_limits = rate_limits
        self._monotonic_s = monotonic_s
        self._of_settings = {
            digest_of(secret.encode()): Access(SETTINGS_NAME, scope) for scope, secret in given.items() if secret
        }
        self._stored: list[ApiKey] = []
        self._access = dict(self._of_settings)
        self._buckets: dict[tuple[str, float], TokenBucket] = {}

    def reload(self) -> None:
        """Read the keys of the database; raises `StoreUnavailable`, and then the ones read before stay valid."""
        with self._store.read(snapshot=False) as read:
            stored = read.keys.all()
        if stored != self._stored:
            limits = {(key.name, key.max_per_s) for key in stored if key.max_per_s is not None}
            self._buckets = {limit: self._buckets.get(limit) or self._bucket(*limit) for limit in limits}
            self._access = {key.digest: self._access_of(key) for key in stored} | self._of_settings
            self._stored = stored

    def granted(self, headers: Sequence[tuple[bytes, bytes]]) -> Access | None:
        """The access with the highest scope among the secrets in raw request headers.

        They are sent as `Authorization: Bearer SECRET` or `X-API-Key: SECRET`, by the dashboard also in a session's
        cookie.
        """
        found = [
            access
            for secret in _secrets(headers, self._cookie)
            if (access := self._find(digest_of(secret))) is not None
        ]
        return max(found, key=lambda access: access.scope, default=None)

    def _find(self, digest: bytes) -> Access | None:
        access = self._access.get(digest)
        expired = access is not None and access.expires_ms is not None and access.expires_ms <= self._wall.now_ms()
        return None if expired else access

    def _access_of(self, key: ApiKey) -> Access:
        bucket = None if key.max_per_s is None else self._buckets[key.name, key.max_per_s]
        return Access(key.name, key.scope, key.expires_ms, bucket, key.scenarios)

    def _bucket(self, name: str, max_per_s: float) -> TokenBucket:
        path = None if self._rate_limits is None else shared_path(self._rate_limits, name, max_per_s)
        return TokenBucket(max_per_s, now_s=self._monotonic_s, path=path)


def _secrets(headers: Sequence[tuple[bytes, bytes]], cookie: str) -> list[bytes]:
    secrets = []
    for name, value in headers:
        if name == b"x-api-key":
            secrets.append(value.strip())
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            secrets.append(value[7:].strip())
    session = session_secret(headers, cookie)
    return secrets if session is None else [*secrets, session]
