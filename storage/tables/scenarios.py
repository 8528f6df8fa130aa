"""The table of scenarios."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from storage.tables.base import Name, metadata

# The newest revision of a name serves. Revisions come from a counter: they commit in ascending order.
scenario_revisions = Table(
    "scenario_revisions",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Name, nullable=False),
    Column("definition", Text),  # NULL: deleted
    Column("author", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)
Index("ix_scenario_revisions_name_revision", scenario_revisions.c.name, scenario_revisions.c.revision)
