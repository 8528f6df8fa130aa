"""The definitions of one kind as a process knows them: those of the settings, and those stored, which win.

Reading them costs no query: a thread follows the revision of the store, one small query, and reads what changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

from core.definitions.kinds import DefinitionKind
from core.errors import InvalidInput
from core.ports.store import Store
from core.records.stored import DefinitionRevision

_log = logging.getLogger(__name__)
T = TypeVar("T")
Parse = Callable[[Mapping[str, Any], str], T]  # a definition and its name; raises `InvalidInput`


@dataclass(frozen=True, slots=True)
class NamedDefinition(Generic[T]):
    """A definition as it serves. `stored`: its newest revision; None for one of the settings."""

    parsed: T
    definition: Mapping[str, Any]
    stored: DefinitionRevision | None = None


class FollowedDefinitions(Generic[T]):
    """The definitions by name; thread-safe."""

    def __init__(
        self,
        store: Store,
        kind: DefinitionKind,
        parse: Parse[T],
        *,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`settings`: definitions used while none is stored under their name.

        Raises `InvalidInput` for an invalid definition of the settings.
        """
        self._store = store
        self._kind = kind
        self._parse = parse
        self._own = {
            name: NamedDefinition(parse(definition, name), definition) for name, definition in (settings or {}).items()
        }
        self._by_name: Mapping[str, NamedDefinition[T]] = dict(sorted(self._own.items()))
        self._revision = 0
        self._following = Lock()

    def all(self) -> Mapping[str, NamedDefinition[T]]:
        """All by name, in order of the name."""
        return self._by_name

    def named(self, name: str) -> NamedDefinition[T]:
        """One by name; raises `NotFound`."""
        named = self._by_name.get(name)
        if named is None:
            raise self._kind.not_stored(name)
        return named

    def follow(self) -> bool:
        """Read what changed in the store; whether anything did."""
        with self._store.read(snapshot=False) as read:
            if self._kind.reader(read).revision() == self._revision:
                return False
        with self._following, self._store.read() as read:
            changes = self._kind.reader(read).changed_since(self._revision)
            by_name = dict(self._by_name)
            for change in changes:
                self._apply(change, by_name)
            self._by_name = dict(sorted(by_name.items()))
            self._revision = max((change.revision for change in changes), default=self._revision)
        return True

    def _apply(self, change: DefinitionRevision, by_name: dict[str, NamedDefinition[T]]) -> None:
        by_name.pop(change.name, None)
        if change.definition is None:
            if change.name in self._own:
                by_name[change.name] = self._own[change.name]
            return
        try:
            parsed = self._parse(change.definition, change.name)
        except InvalidInput as error:  # written by another version of Tidewise
            _log.error("%s %s, revision %d does not serve: %s", self._kind.name, change.name, change.revision, error)
            return
        by_name[change.name] = NamedDefinition(parsed, change.definition, change)
