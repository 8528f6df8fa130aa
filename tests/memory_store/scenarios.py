"""Scenarios of a store in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.records import ScenarioRevision
from memory_store.data import MemoryRepository


class MemoryScenarios(MemoryRepository):
    """`core.ports.scenarios.ScenarioRepository`."""

    def revision(self) -> int:
        return len(self.data.scenarios)

    def changed_since(self, revision: int) -> list[ScenarioRevision]:
        newest = {change.name: change for change in self.data.scenarios[revision:]}
        return [newest[name] for name in sorted(newest)]

    def history(self, name: str, *, limit: int) -> list[ScenarioRevision]:
        return [change for change in reversed(self.data.scenarios) if change.name == name][:limit]

    def lock(self) -> None:
        pass

    def add(self, name: str, definition: Mapping[str, Any] | None, *, author: str, now_ms: int) -> ScenarioRevision:
        self.data.scenarios.append(ScenarioRevision(self.revision() + 1, name, definition, author, now_ms))
        return self.data.scenarios[-1]
