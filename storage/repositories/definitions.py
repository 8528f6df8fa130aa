"""Named definitions of scenarios, experiments and segments: each change is a row; the newest of a name serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, bindparam, func, select
from sqlalchemy.sql.elements import CompilerElement

from core.records.stored import DefinitionRevision
from storage.codec import pack_json, unpack_json
from storage.dialects import Dialect, Row
from storage.repositories.counters import raised, value_of
from storage.session import Session
from storage.tables import experiment_revisions, scenario_revisions, segment_revisions

FIELDS = ("revision", "name", "definition", "author", "time_ms")


class DefinitionTable:
    """The statements of one kind of definitions. `counter`: the name of the counter that numbers its revisions."""

    def __init__(self, table: Table, counter: str) -> None:
        self.counter = counter
        self._table = table
        self._rows = select(*(table.c[name] for name in FIELDS))

    def insert(self, dialect: Dialect) -> CompilerElement:
        """A new row."""
        return dialect.insert(self._table, *FIELDS)

    def changed(self, _dialect: Dialect) -> CompilerElement:
        """The newest row of each name after a revision."""
        columns = self._table.c
        newest = select(func.max(columns.revision)).where(columns.revision > bindparam("after")).group_by(columns.name)
        return self._rows.where(columns.revision.in_(newest)).order_by(columns.name)

    def history(self, _dialect: Dialect) -> CompilerElement:
        """The rows of a name, newest first."""
        rows = self._rows.where(self._table.c.name == bindparam("of"))
        return rows.order_by(self._table.c.revision.desc()).limit(bindparam("limit"))


SCENARIOS = DefinitionTable(scenario_revisions, "scenario_revision")
EXPERIMENTS = DefinitionTable(experiment_revisions, "experiment_revision")
SEGMENTS = DefinitionTable(segment_revisions, "segment_revision")


class DefinitionRepository:
    """`core.ports.definitions.DefinitionRepository` over a session."""

    __slots__ = ("_session", "_table")

    def __init__(self, session: Session, table: DefinitionTable) -> None:
        self._session = session
        self._table = table

    def revision(self) -> int:
        """The revision of the newest change of any definition."""
        return value_of(self._session, self._table.counter)

    def changed_since(self, revision: int) -> list[DefinitionRevision]:
        """The newest revision of each definition that changed after a revision, by name."""
        return [_revision(row) for row in self._session.rows(self._table.changed, after=revision)]

    def history(self, name: str, *, limit: int) -> list[DefinitionRevision]:
        """The newest revisions of a definition, newest first."""
        return [_revision(row) for row in self._session.rows(self._table.history, of=name, limit=limit)]

    def lock(self) -> None:
        """Keep other transactions from changing definitions of this kind until this one ends."""
        raised(self._session, self._table.counter, by=0)

    def add(self, name: str, definition: Mapping[str, Any] | None, *, author: str, now_ms: int) -> DefinitionRevision:
        """Store a change under the next revision; a definition of None deletes."""
        change = DefinitionRevision(raised(self._session, self._table.counter), name, definition, author, now_ms)
        packed = None if definition is None else pack_json(dict(definition))
        self._session.write(self._table.insert, [(change.revision, name, packed, author, now_ms)])
        return change


def _revision(row: Row) -> DefinitionRevision:
    revision, name, definition, author, time_ms = row
    return DefinitionRevision(revision, name, None if definition is None else unpack_json(definition), author, time_ms)
