"""The current scenarios of a process: those of the settings, and those stored, which win."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.definitions.followed import FollowedDefinitions
from core.definitions.kinds import SCENARIO
from core.errors import UnknownDefinition
from core.events.interactions import shorten
from core.json_fields import check_name
from core.ports.store import Store
from core.scenarios.definition import parse_scenario
from core.scenarios.scenario import Scenario


class CurrentScenarios(FollowedDefinitions[Scenario]):
    """The scenarios by name; thread-safe."""

    def __init__(self, store: Store, *, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """`settings`: definitions by name, used while none is stored under the name; raises `InvalidInput`."""
        super().__init__(store, SCENARIO, _parse, settings=settings)

    def get(self, name: str) -> Scenario:
        """One by name; raises `UnknownDefinition`."""
        named = self.all().get(name)
        if named is None:
            known = (
                ", ".join(list(self.all())[:20])
                or "none yet; `tidewise scenarios put`, or PUT /v1/scenarios/NAME, makes one"
            )
            msg = f"scenario: wanted a known name, got {shorten(name)}; known are {known}"
            raise UnknownDefinition(msg, field="scenario")
        return named.parsed


def _parse(definition: Mapping[str, Any], name: str) -> Scenario:
    return parse_scenario(definition, name=check_name(name))
