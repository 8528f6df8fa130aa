"""Definitions of a store in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.records.stored import DefinitionRevision


class MemoryDefinitions:
    """`core.ports.definitions.DefinitionRepository` over the changes of one kind."""

    def __init__(self, changes: list[DefinitionRevision]) -> None:
        self.changes = changes

    def revision(self) -> int:
        return len(self.changes)

    def changed_since(self, revision: int) -> list[DefinitionRevision]:
        newest = {change.name: change for change in self.changes[revision:]}
        return [newest[name] for name in sorted(newest)]

    def history(self, name: str, *, limit: int) -> list[DefinitionRevision]:
        return [change for change in reversed(self.changes) if change.name == name][:limit]

    def lock(self) -> None:
        pass

    def add(self, name: str, definition: Mapping[str, Any] | None, *, author: str, now_ms: int) -> DefinitionRevision:
        self.changes.append(DefinitionRevision(self.revision() + 1, name, definition, author, now_ms))
        return self.changes[-1]
