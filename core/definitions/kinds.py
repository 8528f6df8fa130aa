"""The kinds of named definitions, and what changes of all kinds share: each is one revision in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from core.clock import Clock, WallClock
from core.errors import NotFound
from core.ports.definitions import DefinitionReader, DefinitionRepository
from core.ports.store import ReadTransaction, Store, Transaction
from core.records.stored import DefinitionRevision

_WALL = WallClock()


@dataclass(frozen=True, slots=True)
class DefinitionKind:
    """A kind of definitions by its name, with its repository in a transaction."""

    name: str
    reader: Callable[[ReadTransaction], DefinitionReader]
    repository: Callable[[Transaction], DefinitionRepository]

    def not_stored(self, name: str) -> NotFound:
        """The error of a name under which nothing is stored."""
        return NotFound(
            f"no {self.name} is stored as {name!r}; GET /v1/{self.name}s, or `tidewise {self.name}s list`, lists all"
        )


SCENARIO = DefinitionKind("scenario", attrgetter("scenarios"), attrgetter("scenarios"))
SEGMENT = DefinitionKind("segment", attrgetter("segments"), attrgetter("segments"))
EXPERIMENT = DefinitionKind("experiment", attrgetter("experiments"), attrgetter("experiments"))


def newest_revision(definitions: DefinitionReader, name: str) -> DefinitionRevision | None:
    """The newest change of a definition, which may be its deletion; None for an unknown name."""
    return next(iter(definitions.history(name, limit=1)), None)


def save_definition(
    store: Store, kind: DefinitionKind, name: str, definition: Mapping[str, Any], *, author: str, clock: Clock = _WALL
) -> DefinitionRevision:
    """Insert or replace a valid definition; the same one again changes nothing, and its newest revision is returned."""
    with store.transaction() as tx:
        definitions = kind.repository(tx)
        definitions.lock()
        change = newest_revision(definitions, name)
        if change is None or change.definition != definition:
            change = definitions.add(name, definition, author=author, now_ms=clock.now_ms())
            tx.commit()
    return change


def delete_definition(
    store: Store, kind: DefinitionKind, name: str, *, author: str, clock: Clock = _WALL
) -> DefinitionRevision:
    """Delete a stored definition; its revisions stay. Raises `NotFound`."""
    with store.transaction() as tx:
        definitions = kind.repository(tx)
        definitions.lock()
        newest = newest_revision(definitions, name)
        if newest is None or newest.definition is None:
            raise kind.not_stored(name)
        change = definitions.add(name, None, author=author, now_ms=clock.now_ms())
        tx.commit()
    return change
