"""Metadata: named values about the database itself."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.sql.elements import CompilerElement

from storage.dialects import Dialect
from storage.session import Session
from storage.tables import meta

ERASURE_SECRET = "erasure_secret"  # noqa: S105 - the name of the value, not the secret


def _save(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(meta, "name", "value")
    return insert.on_conflict_do_update(index_elements=["name"], set_={"value": insert.excluded.value})


def _add(dialect: Dialect) -> CompilerElement:
    return dialect.insert(meta, "name", "value").on_conflict_do_nothing()


def _all(dialect: Dialect) -> CompilerElement:
    return select(meta.c.name, meta.c.value)


class MetadataRepository:
    """`core.ports.metadata.MetadataRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> dict[str, str]:
        """All values by name, except the secret."""
        return {name: value for name, value in self._session.rows(_all) if name != ERASURE_SECRET}

    def save(self, values: Mapping[str, str]) -> None:
        """Insert or replace values."""
        self._session.write(_save, sorted(values.items()))

    def erasure_secret(self, new: str) -> str:
        """The secret in the keyed hashes of erased users; `new` is stored where there is none yet."""
        self._session.write(_add, [(ERASURE_SECRET, new)])
        secret: str = next(value for name, value in self._session.rows(_all) if name == ERASURE_SECRET)
        return secret
