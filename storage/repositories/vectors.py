"""User vectors, one per user and model version: after a rollback, those of the previous version are still stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import bindparam, delete, select
from sqlalchemy.sql.elements import CompilerElement

from core.arrays import FloatArray
from core.records.stored import UserState
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import vectors

PACKED = np.dtype("<f4")


def _find(dialect: Dialect) -> CompilerElement:
    exact = (vectors.c.binding == bindparam("binding"), vectors.c.user_seq == bindparam("user_seq"))
    own = (vectors.c.user_key == bindparam("user_key"), vectors.c.version == bindparam("version"))
    return select(vectors.c.vector).where(*own, *exact)


def _save(dialect: Dialect) -> CompilerElement:
    """An upsert that never replaces a newer vector: several processes encode the same user."""
    insert = dialect.insert(vectors, "user_key", "version", "binding", "user_seq", "vector")
    new = {name: insert.excluded[name] for name in ("binding", "user_seq", "vector")}
    newer = insert.excluded["user_seq"] >= vectors.c.user_seq
    return insert.on_conflict_do_update(index_elements=["user_key", "version"], set_=new, where=newer)


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(vectors).where(vectors.c.user_key == bindparam("user_key"))


def _delete_all(dialect: Dialect) -> CompilerElement:
    return delete(vectors)


def _delete_version(dialect: Dialect) -> CompilerElement:
    return delete(vectors).where(vectors.c.version == bindparam("version"))


class VectorRepository:
    """`core.ports.vectors.VectorRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, state: UserState, *, version: str, binding: str) -> FloatArray | None:
        """The (D,) vector of a user at exactly this sequence and binding, or None."""
        row = self._session.row(_find, user_key=state.key, version=version, binding=binding, user_seq=state.seq)
        return None if row is None else np.frombuffer(row[0], PACKED).astype(np.float32)

    def save(self, states: Sequence[UserState], vectors: FloatArray, bindings: Sequence[str], *, version: str) -> None:
        """Store (B, D) vectors of users, in ascending key; a newer stored vector is never replaced."""
        packed = vectors.astype(PACKED)
        order = sorted(range(len(states)), key=lambda index: states[index].key)
        self._session.write(
            _save,
            [
                (states[index].key, version, bindings[index], states[index].seq, packed[index].tobytes())
                for index in order
            ],
        )

    def clear(self) -> None:
        """Delete all vectors. Needed by a rebuild, which changes windows without a new sequence."""
        self._session.run(_delete_all)

    def delete(self, version: str) -> None:
        """Delete the vectors of a model version."""
        self._session.run(_delete_version, version=version)

    def erase_user(self, user_key: int) -> None:
        """Delete the vectors of a user."""
        self._session.run(_delete, user_key=user_key)
