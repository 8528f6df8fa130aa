"""Topics by code: made under the lock of a catalogue change, so that no two writers give one code twice."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.sql.elements import CompilerElement

from core.drift.topics import OTHERS, OTHERS_NAME, new_codes
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import topics


def _all(dialect: Dialect) -> CompilerElement:
    return select(topics.c.code, topics.c.name).order_by(topics.c.code)


def _insert(dialect: Dialect) -> CompilerElement:
    return dialect.insert(topics, "code", "name")


def names(session: Session) -> dict[int, str]:
    """What each code stands for."""
    return dict(session.rows(_all)) | {OTHERS: OTHERS_NAME}


def codes(session: Session, wanted: Sequence[str]) -> dict[str, int]:
    """The codes of these names, made where they are new; the caller holds the lock of the catalogue's revision."""
    known = {name: code for code, name in session.rows(_all)}
    new = new_codes(wanted, known)
    session.write(_insert, [(code, name) for name, code in new.items()])
    known |= new
    return {name: known.get(name, OTHERS) for name in wanted}
