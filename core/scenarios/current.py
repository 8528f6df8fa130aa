"""The current scenarios of a process: those of the settings, and those stored, which win; changes are followed.

Reading them costs no query: a thread follows the revision of the store, one small query, and reads what changed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from core.errors import InvalidInput
from core.interactions import shorten
from core.json_fields import check_name
from core.ports.store import Store
from core.records import ScenarioRevision
from core.scenarios.definition import parse_scenario
from core.scenarios.scenario import Scenario

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NamedScenario:
    """A scenario as it serves. `stored`: its newest revision; None for one of the settings."""

    scenario: Scenario
    definition: Mapping[str, Any]
    stored: ScenarioRevision | None = None


class CurrentScenarios:
    """The scenarios by name; thread-safe."""

    def __init__(self, store: Store, *, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """`settings`: definitions by name, used while none is stored under the name; raises `InvalidInput`."""
        self._store = store
        self._own = {
            name: NamedScenario(parse_scenario(definition, name=check_name(name)), definition)
            for name, definition in (settings or {}).items()
        }
        self._by_name: Mapping[str, NamedScenario] = dict(sorted(self._own.items()))
        self._revision = 0
        self._following = Lock()

    def all(self) -> Mapping[str, NamedScenario]:
        """All by name, in order of the name."""
        return self._by_name

    def get(self, name: str) -> Scenario:
        """One by name; raises `InvalidInput`."""
        named = self._by_name.get(name)
        if named is None:
            known = ", ".join(list(self._by_name)[:20]) or "none yet; PUT /v1/scenarios/NAME makes one"
            msg = f"scenario: wanted a known name, got {shorten(name)}; known are {known}"
            raise InvalidInput(msg, field="scenario")
        return named.scenario

    def follow(self) -> bool:
        """Read what changed in the store; whether anything did."""
        with self._store.read(snapshot=False) as read:
            if read.scenarios.revision() == self._revision:
                return False
        with self._following, self._store.read() as read:
            changes = read.scenarios.changed_since(self._revision)
            by_name = dict(self._by_name)
            for change in changes:
                self._apply(change, by_name)
            self._by_name = dict(sorted(by_name.items()))
            self._revision = max((change.revision for change in changes), default=self._revision)
        return True

    def _apply(self, change: ScenarioRevision, by_name: dict[str, NamedScenario]) -> None:
        by_name.pop(change.name, None)
        if change.definition is None:
            if change.name in self._own:
                by_name[change.name] = self._own[change.name]
            return
        try:
            scenario = parse_scenario(change.definition, name=change.name)
        except InvalidInput as error:  # written by another version of Tidewise
            _log.error("scenario %s, revision %d does not serve: %s", change.name, change.revision, error)
            return
        by_name[change.name] = NamedScenario(scenario, change.definition, change)
