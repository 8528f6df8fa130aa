"""API keys: one row for each secret."""

from __future__ import annotations

import json

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.sql.elements import CompilerElement

from core.records.api_keys import ApiKey, Scope
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import api_keys

columns = api_keys.c
OWN = columns.name == bindparam("key_name")


def _all(dialect: Dialect) -> CompilerElement:
    return select(api_keys).order_by(columns.name, columns.created_ms)


def _add(dialect: Dialect) -> CompilerElement:
    return dialect.insert(api_keys, *(column.name for column in columns))


def _expire(dialect: Dialect) -> CompilerElement:
    later = or_(columns.expires_ms.is_(None), columns.expires_ms > bindparam("at_ms"))
    return update(api_keys).where(OWN, later).values(expires_ms=bindparam("at_ms"))


def _delete_expired(dialect: Dialect) -> CompilerElement:
    return delete(api_keys).where(OWN, columns.expires_ms <= bindparam("at_ms"))


def _delete_secret(dialect: Dialect) -> CompilerElement:
    return delete(api_keys).where(columns.digest == bindparam("key_digest"))


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(api_keys).where(OWN)


class KeyRepository:
    """`core.ports.keys.KeyRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[ApiKey]:
        """The secrets of all keys, expired ones included, by name and age."""
        rows = self._session.rows(_all)
        return [
            ApiKey(bytes(digest), name, Scope[scope], created_ms, expires_ms, max_per_s, tuple(json.loads(scenarios)))
            for digest, name, scope, created_ms, expires_ms, max_per_s, scenarios in rows
        ]

    def add(self, key: ApiKey) -> None:
        """Store a secret."""
        limits = (key.created_ms, key.expires_ms, key.max_per_s, json.dumps(key.scenarios))
        self._session.write(_add, [(key.digest, key.name, key.scope.name, *limits)])

    def expire(self, name: str, *, at_ms: int) -> None:
        """Let all secrets of a key expire at a time, unless they do so earlier."""
        self._session.run(_expire, key_name=name, at_ms=at_ms)

    def delete_expired(self, name: str, *, at_ms: int) -> None:
        """Delete the secrets of a key that are expired at a time."""
        self._session.run(_delete_expired, key_name=name, at_ms=at_ms)

    def delete_secret(self, digest: bytes) -> None:
        """Delete one secret."""
        self._session.run(_delete_secret, key_digest=digest)

    def delete(self, name: str) -> None:
        """Delete all secrets of a key."""
        self._session.run(_delete, key_name=name)
