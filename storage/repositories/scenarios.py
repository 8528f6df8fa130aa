"""Scenarios: every change is a row; the newest row of a name is what serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.sql.elements import CompilerElement

from core.records import ScenarioRevision
from storage.codec import pack_json, unpack_json
from storage.dialects import Dialect, Row
from storage.repositories.counters import raised, value_of
from storage.session import Session
from storage.tables import scenario_revisions

REVISION = "scenario_revision"
FIELDS = ("revision", "name", "definition", "author", "time_ms")
columns = scenario_revisions.c


def _insert(dialect: Dialect) -> CompilerElement:
    return dialect.insert(scenario_revisions, *FIELDS)


def _changed(dialect: Dialect) -> CompilerElement:
    newest = select(func.max(columns.revision)).where(columns.revision > bindparam("after")).group_by(columns.name)
    rows = select(*(columns[name] for name in FIELDS)).where(columns.revision.in_(newest))
    return rows.order_by(columns.name)


def _history(dialect: Dialect) -> CompilerElement:
    rows = select(*(columns[name] for name in FIELDS)).where(columns.name == bindparam("scenario"))
    return rows.order_by(columns.revision.desc()).limit(bindparam("limit"))


class ScenarioRepository:
    """`core.ports.scenarios.ScenarioRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def revision(self) -> int:
        """The revision of the newest change of any scenario."""
        return value_of(self._session, REVISION)

    def changed_since(self, revision: int) -> list[ScenarioRevision]:
        """The newest revision of each scenario that changed after a revision, by name."""
        return [_revision(row) for row in self._session.rows(_changed, after=revision)]

    def history(self, name: str, *, limit: int) -> list[ScenarioRevision]:
        """The newest revisions of a scenario, newest first."""
        return [_revision(row) for row in self._session.rows(_history, scenario=name, limit=limit)]

    def lock(self) -> None:
        """Keep other transactions from changing scenarios until this one ends."""
        raised(self._session, REVISION, by=0)

    def add(self, name: str, definition: Mapping[str, Any] | None, *, author: str, now_ms: int) -> ScenarioRevision:
        """Store a change under the next revision; a definition of None deletes."""
        change = ScenarioRevision(raised(self._session, REVISION), name, definition, author, now_ms)
        packed = None if definition is None else pack_json(dict(definition))
        self._session.write(_insert, [(change.revision, name, packed, author, now_ms)])
        return change


def _revision(row: Row) -> ScenarioRevision:
    revision, name, definition, author, time_ms = row
    return ScenarioRevision(revision, name, None if definition is None else unpack_json(definition), author, time_ms)
