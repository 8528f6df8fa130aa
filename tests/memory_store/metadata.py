"""Metadata of a store in memory."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from core.ports.metadata import Secret
from memory_store.data import MemoryRepository


class MemoryMetadata(MemoryRepository):
    """`core.ports.metadata.MetadataRepository`."""

    def all(self) -> dict[str, str]:
        return {name: value for name, value in self.data.meta.items() if name not in set(Secret)}

    def secret(self, name: Secret) -> bytes | None:
        found = self.data.meta.get(name)
        return None if found is None else bytes.fromhex(found)

    def make_secret(self, name: Secret) -> bytes:
        return bytes.fromhex(self.data.meta.setdefault(name, secrets.token_hex(32)))

    def save(self, values: Mapping[str, str]) -> None:
        self.data.meta |= values
