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

    def secret(self, name: Secret) -> bytes | None:
        """A secret; None: no process has needed it yet."""
        ...


class MetadataRepository(MetadataReader, Protocol):
    """Reads and writes metadata."""

    def make_secret(self, name: Secret) -> bytes:
        """A secret of 32 random bytes; where another process has made it meanwhile, that one."""
        ...

    def save(self, values: Mapping[str, str]) -> None:
        """Insert or replace values."""
        ...
