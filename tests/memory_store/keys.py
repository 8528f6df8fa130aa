"""API keys of a store in memory."""

from __future__ import annotations

from dataclasses import replace

from core.records.api_keys import ApiKey
from memory_store.data import MemoryRepository


class MemoryKeys(MemoryRepository):
    """`core.ports.keys.KeyRepository`."""

    def all(self) -> list[ApiKey]:
        return sorted(self.data.keys, key=lambda key: (key.name, key.created_ms))

    def add(self, key: ApiKey) -> None:
        self.data.keys = [*self.data.keys, key]

    def expire(self, name: str, *, at_ms: int) -> None:
        self.data.keys = [
            replace(key, expires_ms=at_ms)
            if key.name == name and (key.expires_ms is None or key.expires_ms > at_ms)
            else key
            for key in self.data.keys
        ]

    def delete_expired(self, name: str, *, at_ms: int) -> None:
        self.data.keys = [
            key for key in self.data.keys if key.name != name or key.expires_ms is None or key.expires_ms > at_ms
        ]

    def delete_secret(self, digest: bytes) -> None:
        self.data.keys = [key for key in self.data.keys if key.digest != digest]

    def delete(self, name: str) -> None:
        self.data.keys = [key for key in self.data.keys if key.name != name]
