"""The record of an API key: a name, a scope, and a digest of the secret, which itself is never stored.

Secrets have 256 random bits, so their plain SHA-256 cannot be searched for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum


class Scope(IntEnum):
    """What a key permits; each scope includes the lower ones."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A secret of a key, as stored.

    `digest`: SHA-256 of the secret. `created_ms`, `expires_ms`: by the wall clock; None: it does not expire.
    `max_per_s`: requests per second to one API process; None: unlimited. `scenarios`: the key may only ask for
    recommendations by these; empty: whatever its scope permits.
    """

    digest: bytes
    name: str
    scope: Scope
    created_ms: int
    expires_ms: int | None = None
    max_per_s: float | None = None
    scenarios: tuple[str, ...] = ()


def digest_of(secret: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(secret).digest()
