"""What became of events: for those who sent them somewhere and wait until they are applied."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.sql.elements import CompilerElement

from storage.dialects import Dialect
from storage.session import Session
from storage.tables import interactions

columns = interactions.c


def _seqs(dialect: Dialect) -> CompilerElement:
    return select(columns.event_key, columns.user_seq).where(dialect.key_is_in(columns.event_key, "event_keys"))


def event_seqs(session: Session, event_keys: Sequence[bytes]) -> dict[bytes, int]:
    """The user sequence of each of these events that is stored."""
    if not event_keys:
        return {}
    given = session.keys(sorted(set(event_keys)))
    return {bytes(key): seq for key, seq in session.rows(_seqs, event_keys=given)}
