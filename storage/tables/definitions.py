"""Tables of named definitions with revisions: scenarios, experiments and segments."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from storage.tables.base import Name, metadata


def _revisions(name: str) -> Table:
    """Definitions by name; the newest of a name serves. Revisions are of a counter: they commit in ascending order."""
    table = Table(
        name,
        metadata,
        Column("revision", BigInteger, primary_key=True, autoincrement=False),
        Column("name", Name, nullable=False),
        Column("definition", Text),  # NULL: deleted
        Column("author", Text, nullable=False),
        Column("time_ms", BigInteger, nullable=False),
    )
    Index(f"ix_{name}_name_revision", table.c.name, table.c.revision)
    return table


scenario_revisions = _revisions("scenario_revisions")
experiment_revisions = _revisions("experiment_revisions")
segment_revisions = _revisions("segment_revisions")
