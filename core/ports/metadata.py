"""The repository of metadata: named values about the database itself, such as clock mode, event types and window."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol


class Secret(StrEnum):
    """The names of secrets that all processes of an installation share."""

    ERASURE = "erasure_secret"  # in the hashes of erased users
    CURSORS = "cursor_secret"  # signs the cursors of pages


class MetadataReader(Protocol):
    """Reads metadata."""

    def all(self) -> dict[str, str]:
        """All values by name, except secrets."""
        ...


class MetadataRepository(MetadataReader, Protocol):
    """Reads and writes metadata."""

    def secret(self, name: Secret) -> bytes:
        """A secret of 32 random bytes, made by the first process that needs it."""
        ...

    def save(self, values: Mapping[str, str]) -> None:
        """Insert or replace values."""
        ...
