"""The repository of scenarios: named configurations of answers, with all their revisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from core.records import ScenarioRevision


class ScenarioReader(Protocol):
    """Reads scenarios."""

    def revision(self) -> int:
        """The revision of the newest change of any scenario, 0 before the first."""
        ...

    def changed_since(self, revision: int) -> list[ScenarioRevision]:
        """The newest revision of each scenario that changed after a revision, by name."""
        ...

    def history(self, name: str, *, limit: int) -> list[ScenarioRevision]:
        """The newest revisions of a scenario, newest first; empty for an unknown name."""
        ...


class ScenarioRepository(ScenarioReader, Protocol):
    """Reads and writes scenarios."""

    def lock(self) -> None:
        """Keep other transactions from changing scenarios until this one ends."""
        ...

    def add(self, name: str, definition: Mapping[str, Any] | None, *, author: str, now_ms: int) -> ScenarioRevision:
        """Store a change under the next revision, which commits in ascending order; a definition of None deletes."""
        ...
