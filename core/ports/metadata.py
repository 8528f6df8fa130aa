"""The repository of metadata: named values about the database itself, such as clock mode, event types and window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class MetadataReader(Protocol):
    """Reads metadata."""

    def all(self) -> dict[str, str]:
        """All values by name."""
        ...


class MetadataRepository(MetadataReader, Protocol):
    """Reads and writes metadata."""

    def save(self, values: Mapping[str, str]) -> None:
        """Insert or replace values."""
        ...
