"""Metadata: named values about the database itself."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.sql.elements import CompilerElement

from core.ports.metadata import Secret
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import meta

SECRET_BYTES = 32
SECRETS = frozenset(Secret)


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
        """All values by name, except secrets."""
        return {name: value for name, value in self._session.rows(_all) if name not in SECRETS}

    def save(self, values: Mapping[str, str]) -> None:
        """Insert or replace values."""
        self._session.write(_save, sorted(values.items()))

    def secret(self, name: Secret) -> bytes | None:
        """A secret; None: no process has needed it yet."""
        found = next((value for stored, value in self._session.rows(_all) if stored == name), None)
        return None if found is None else bytes.fromhex(found)

    def make_secret(self, name: Secret) -> bytes:
        """A secret of 32 random bytes; where another process has made it meanwhile, that one."""
        self._session.write(_add, [(name.value, secrets.token_hex(SECRET_BYTES))])
        made = self.secret(name)
        assert made is not None
        return made
