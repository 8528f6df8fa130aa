"""Metadata of a store in memory."""

from __future__ import annotations

from collections.abc import Mapping

from memory_store.data import MemoryRepository


class MemoryMetadata(MemoryRepository):
    """`core.ports.metadata.MetadataRepository`."""

    def all(self) -> dict[str, str]:
        return dict(self.data.meta)

    def save(self, values: Mapping[str, str]) -> None:
        self.data.meta |= values
