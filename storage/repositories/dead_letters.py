"""Dead letters: bad input kept aside whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, or_, select
from sqlalchemy.sql.elements import CompilerElement

from core.records import DeadLetter
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


def _oldest(dialect: Dialect) -> CompilerElement:
    found = select(*(columns[name] for name in FIELDS)).where(columns.key > bindparam("after"))
    return found.order_by(columns.key).limit(bindparam("limit"))


def _total(dialect: Dialect) -> CompilerElement:
    return select(func.count()).select_from(dead_letters)


def _refile(dialect: Dialect) -> CompilerElement:
    return dialect.update(dead_letters, "reason", "num_retries", key="key")


def _suspects(dialect: Dialect) -> CompilerElement:
    found = or_(dialect.contains(columns.payload, "plain"), dialect.contains(columns.payload, "escaped"))
    return select(columns.key, columns.payload).where(found)


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(dead_letters).where(dialect.is_in(columns.key, "keys"))


class DeadLetterRepository:
    """`core.ports.dead_letters.DeadLetterRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Keep bad input aside; what is kept already, from the same place, is not kept twice."""
        rows = [
            (
                letter.source,
                letter.partition,
                letter.offset,
                letter.reason,
                letter.payload,
                letter.time_ms,
                digest(letter),
            )
            for letter in letters
        ]
        self._session.write(_insert, rows)

    def newest(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters."""
        return [_letter(*row) for row in self._session.rows(_newest, limit=limit)]

    def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters in ascending key after one."""
        return [_letter(*row) for row in self._session.rows(_oldest, after=after, limit=limit)]

    def count(self) -> int:
        """How many there are."""
        row = self._session.row(_total)
        return 0 if row is None else int(row[0])

    def delete(self, keys: Sequence[int]) -> int:
        """Delete these; how many there were."""
        return self._session.run(_delete, keys=self._session.array(keys)) if keys else 0

    def update(self, letters: Sequence[DeadLetter]) -> None:
        """Store reasons and numbers of retries, by key."""
        rows = [(letter.reason, letter.num_retries, letter.key) for letter in letters]
        if rows:
            self._session.write(_refile, rows)

    def erase_user(self, user_id: str) -> bool:
        """Delete every letter that names a user; whether there was one.

        Payloads are raw bytes, so the id is searched as a word, plain or JSON-escaped. A dead letter that names an item
        with this id is deleted too: a false match is better than a missed one.
        """
        plain, escaped = user_id.encode(), json.dumps(user_id)[1:-1].encode()
        word = re.compile(rb"(?<!\w)(?:" + re.escape(plain) + rb"|" + re.escape(escaped) + rb")(?!\w)")
        suspects = self._session.rows(_suspects, plain=plain, escaped=escaped)
        keys = [key for key, payload in suspects if word.search(bytes(payload))]
        if keys:
            self._session.run(_delete, keys=self._session.array(keys))
        return bool(keys)


def digest(letter: DeadLetter) -> bytes:
    """Where a letter comes from and what it says, so that a second import, or a redelivery, adds nothing."""
    place = json.dumps([letter.source, letter.partition, letter.offset]).encode()
    return hashlib.blake2b(place + b"\n" + letter.payload, digest_size=16).digest()


def _letter(
    source: str, partition: int, position: int, reason: str, payload: bytes, time_ms: int, key: int, retries: int
) -> DeadLetter:
    return DeadLetter(source, partition, position, reason, bytes(payload), time_ms, key, retries)
