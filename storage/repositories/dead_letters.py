"""Dead letters: input that could not be applied, stored as it came."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from sqlalchemy import LargeBinary, bindparam, cast, delete, func, or_, select
from sqlalchemy.sql.elements import CompilerElement

from core.records.stored import DeadLetter
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import dead_letters

columns = dead_letters.c


def _insert(dialect: Dialect) -> CompilerElement:
    names = ("source", "partition", "position", "reason", "payload", "time_ms", "digest")
    return dialect.insert(dead_letters, *names).on_conflict_do_nothing()


FIELDS = ("source", "partition", "position", "reason", "payload", "time_ms", "key", "num_retries")


def _newest(dialect: Dialect) -> CompilerElement:
    return select(*(columns[name] for name in FIELDS)).order_by(columns.key.desc()).limit(bindparam("limit"))


def _page(dialect: Dialect) -> CompilerElement:
    page = select(*(columns[name] for name in FIELDS)).where(columns.key > bindparam("after"))
    return page.order_by(columns.key).limit(bindparam("limit"))


def _count(dialect: Dialect) -> CompilerElement:
    return select(func.count()).select_from(dead_letters)


def _update(dialect: Dialect) -> CompilerElement:
    return dialect.update(dead_letters, "reason", "num_retries", key="key")


def _candidates(dialect: Dialect) -> CompilerElement:
    parts = (cast(bindparam(name), LargeBinary) for name in ("plain", "escaped"))
    return select(columns.key, columns.payload).where(or_(*(dialect.contains(columns.payload, part) for part in parts)))


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(dead_letters).where(dialect.is_in(columns.key, "keys"))


class DeadLetterRepository:
    """`core.ports.dead_letters.DeadLetterRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Store bad input; the same payload from the same position is stored once."""
        rows = [
            (
                dead_letter.source,
                dead_letter.partition,
                dead_letter.offset,
                dead_letter.reason,
                dead_letter.payload,
                dead_letter.time_ms,
                digest(dead_letter),
            )
            for dead_letter in dead_letters
        ]
        self._session.write(_insert, rows)

    def newest(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        return [_dead_letter(*row) for row in self._session.rows(_newest, limit=limit)]

    def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters in ascending key after `after`."""
        return [_dead_letter(*row) for row in self._session.rows(_page, after=after, limit=limit)]

    def count(self) -> int:
        """The number of stored dead letters."""
        row = self._session.row(_count)
        return 0 if row is None else int(row[0])

    def delete(self, keys: Sequence[int]) -> int:
        """Delete dead letters; returns how many were deleted."""
        return self._session.run(_delete, keys=self._session.array(keys)) if keys else 0

    def update(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Store reasons and retry counts, by key."""
        rows = [(dead_letter.reason, dead_letter.num_retries, dead_letter.key) for dead_letter in dead_letters]
        if rows:
            self._session.write(_update, rows)

    def erase_user(self, user_id: str) -> bool:
        """Delete all dead letters that name a user; returns whether there was any.

        Payloads are raw bytes, so the id is searched as a word, plain or JSON-escaped. A dead letter that names an item
        with this id is deleted too: a false match is better than a missed one.
        """
        plain, escaped = user_id.encode(), json.dumps(user_id)[1:-1].encode()
        word = re.compile(rb"(?<!\w)(?:" + re.escape(plain) + rb"|" + re.escape(escaped) + rb")(?!\w)")
        candidates = self._session.rows(_candidates, plain=plain, escaped=escaped)
        keys = [key for key, payload in candidates if word.search(bytes(payload))]
        if keys:
            self._session.run(_delete, keys=self._session.array(keys))
        return bool(keys)


def digest(dead_letter: DeadLetter) -> bytes:
    """Identifies position and payload, so that a second import or a redelivery adds no row."""
    position = json.dumps([dead_letter.source, dead_letter.partition, dead_letter.offset]).encode()
    return hashlib.blake2b(position + b"\n" + dead_letter.payload, digest_size=16).digest()


def _dead_letter(
    source: str, partition: int, position: int, reason: str, payload: bytes, time_ms: int, key: int, retries: int
) -> DeadLetter:
    return DeadLetter(source, partition, position, reason, bytes(payload), time_ms, key, retries)
