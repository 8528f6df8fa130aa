"""The repositories of named definitions, of scenarios, experiments and segments, with all their revisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from core.records.stored import DefinitionRevision


class DefinitionReader(Protocol):
    """Reads definitions of one kind."""

    def revision(self) -> int:
        """The revision of the newest change of any definition, 0 before the first."""
        ...

    def changed_since(self, revision: int) -> list[DefinitionRevision]:
        """The newest revision of each definition that changed after a revision, by name."""
        ...

    def history(self, name: str, *, limit: int) -> list[DefinitionRevision]:
        """The newest revisions of a definition, newest first; empty for an unknown name."""
        ...


class DefinitionRepository(DefinitionReader, Protocol):
    """Reads and writes definitions of one kind."""

    def lock(self) -> None:
        """Keep other transactions from changing definitions of this kind until this one ends."""
        ...

    def add(self, name: str, definition: Mapping[str, Any] | None, *, author: str, now_ms: int) -> DefinitionRevision:
        """Store a change under the next revision, which commits in ascending order; a definition of None deletes."""
        ...
