"""Topics and their codes: created under the lock of the catalogue revision, so that a code is assigned once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.sql.elements import CompilerElement

from core.topics import OTHERS, OTHERS_NAME, new_codes
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import topics


def _all(dialect: Dialect) -> CompilerElement:
    return select(topics.c.code, topics.c.name).order_by(topics.c.code)


def _insert(dialect: Dialect) -> CompilerElement:
    return dialect.insert(topics, "code", "name")


def names(session: Session) -> dict[int, str]:
    """The names of topics by code."""
    return dict(session.rows(_all)) | {OTHERS: OTHERS_NAME}


def codes_of(session: Session, requested: Sequence[str]) -> dict[str, int]:
    """The codes of these names, created where they are new; the caller holds the lock of the catalogue revision."""
    known = {name: code for code, name in session.rows(_all)}
    new = new_codes(requested, known)
    session.write(_insert, [(code, name) for name, code in new.items()])
    known |= new
    return {name: known.get(name, OTHERS) for name in requested}
