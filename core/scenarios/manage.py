"""Changes of scenarios, each one revision with author and time, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.clock import Clock, WallClock
from core.definitions.kinds import SCENARIO, save_definition
from core.errors import NotFound
from core.json_fields import check_name
from core.ports.store import Store
from core.records.stored import DefinitionRevision
from core.scenarios.definition import parse_scenario

_WALL = WallClock()
MAX_REVISIONS = 1_000  # of a scenario that can be listed and taken back to


def save_scenario(
    store: Store, name: str, definition: Mapping[str, Any], *, author: str, clock: Clock = _WALL
) -> DefinitionRevision:
    """Insert or replace a scenario; the same definition again changes nothing. Raises `InvalidInput`."""
    parse_scenario(definition, name=check_name(name))
    return save_definition(store, SCENARIO, name, definition, author=author, clock=clock)


def revert_scenario(store: Store, name: str, revision: int, *, author: str, clock: Clock = _WALL) -> DefinitionRevision:
    """A new revision equal to an older one of the scenario; raises `NotFound`."""
    with store.transaction() as tx:
        tx.scenarios.lock()
        older = {change.revision: change for change in tx.scenarios.history(name, limit=MAX_REVISIONS)}
        if revision not in older:
            lists = f"`tidewise scenarios show {name}`, or GET /v1/scenarios/{name}/revisions, lists them"
            msg = f"scenario {name!r} has no revision {revision}; {lists}"
            raise NotFound(msg)
        change = tx.scenarios.add(name, older[revision].definition, author=author, now_ms=clock.now_ms())
        tx.commit()
    return change
