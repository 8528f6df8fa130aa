"""The repository of API keys."""

from __future__ import annotations

from typing import Protocol

from core.records.api_keys import ApiKey


class KeyReader(Protocol):
    """Reads API keys."""

    def all(self) -> list[ApiKey]:
        """The secrets of all keys, expired ones included, by name and age."""
        ...


class KeyRepository(KeyReader, Protocol):
    """Reads and writes API keys."""

    def add(self, key: ApiKey) -> None:
        """Store a secret."""
        ...

    def expire(self, name: str, *, at_ms: int) -> None:
        """Let all secrets of a key expire at a time, unless they do so earlier."""
        ...

    def delete_expired(self, name: str, *, at_ms: int) -> None:
        """Delete the secrets of a key that are expired at a time."""
        ...

    def delete_secret(self, digest: bytes) -> None:
        """Delete one secret."""
        ...

    def delete(self, name: str) -> None:
        """Delete all secrets of a key."""
        ...
