"""Users in an order, a page at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, or_, select
from sqlalchemy.sql.elements import CompilerElement

from core.events.history import Window
from core.records.stored import ListedUser, UserState
from storage.codec import unpack_history
from storage.dialects import Dialect, Row
from storage.session import Session
from storage.tables import users

HIGHEST_CHARACTER = "\U0010ffff"  # ids with a prefix sort before the prefix and this
ACTIVITY_MS = 300_000  # the steps of users.active_ms
AFTER_ALL = (2**62, 0)  # a time and a key
LISTED = tuple(users.c[name] for name in ListedUser._fields)
STATE = (users.c.key, users.c.seq, users.c.num_events, users.c.window, users.c.erased_ms)


def _list(dialect: Dialect) -> CompilerElement:
    return _page_of(users.c.user_id, *STATE)


def _page_of(*columns: ColumnElement[Any]) -> Select[Any]:
    inside = (users.c.user_id > bindparam("after"), users.c.user_id >= bindparam("first"))
    page = select(*columns).where(*inside, users.c.user_id < bindparam("end"), users.c.merged_into.is_(None))
    return page.order_by(users.c.user_id).limit(bindparam("limit"))


def _recent(dialect: Dialect) -> CompilerElement:
    """Sorts only the users of one step of activity at a time; the index has the others in order."""
    newest, key = users.c.newest_ms, users.c.key
    within = users.c.active_ms <= bindparam("active_ms", type_=BigInteger)
    before = or_(newest < bindparam("newest_ms"), and_(newest == bindparam("newest_ms"), key < bindparam("before_key")))
    page = select(*LISTED).where(within, before)
    return page.order_by(users.c.active_ms.desc(), newest.desc(), key.desc()).limit(bindparam("limit"))


def _shifted(dialect: Dialect) -> CompilerElement:
    shift, key, own = users.c.shift_ms, users.c.key, users.c.merged_into.is_(None)
    before = or_(shift < bindparam("shift_ms"), and_(shift == bindparam("shift_ms"), key < bindparam("before_key")))
    page = select(*LISTED).where(shift.is_not(None), before, own)
    return page.order_by(shift.desc(), key.desc()).limit(bindparam("limit"))


def _by_id(dialect: Dialect) -> CompilerElement:
    return _page_of(*LISTED)


def state_of(row: Row) -> UserState:
    """The state of a row of the columns `STATE`."""
    key, seq, num_events, window, erased_ms = row
    return UserState(key, seq, Window(num_events, unpack_history(window)), erased_ms)


def activity_step(time_ms: int) -> int:
    """The step of `users.active_ms` in which a time lies."""
    return time_ms - time_ms % ACTIVITY_MS


class UserPages:
    """The part of `core.ports.users.UserRepository` that lists users, over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        """Users in ascending id after `after` whose id begins with `prefix`."""
        end = prefix + HIGHEST_CHARACTER
        rows = self._session.rows(_list, after=after, first=prefix, end=end, limit=limit)
        return [(row[0], state_of(row[1:])) for row in rows]

    def by_id(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[ListedUser]:
        """Users in ascending id after `after` whose id begins with `prefix`."""
        end = prefix + HIGHEST_CHARACTER
        return [ListedUser(*row) for row in self._session.rows(_by_id, after=after, first=prefix, end=end, limit=limit)]

    def by_activity(self, *, before: tuple[int, int] = AFTER_ALL, limit: int = 100) -> list[ListedUser]:
        """Users in descending time of their newest windowed event, then key."""
        newest_ms, key = before
        parameters = {"active_ms": activity_step(newest_ms), "newest_ms": newest_ms, "before_key": key}
        return [ListedUser(*row) for row in self._session.rows(_recent, limit=limit, **parameters)]

    def by_shift(self, *, before: tuple[int, int] = AFTER_ALL, limit: int = 100) -> list[ListedUser]:
        """Users whose interest shifted, in descending time of the shift, then key."""
        shift_ms, key = before
        rows = self._session.rows(_shifted, shift_ms=shift_ms, before_key=key, limit=limit)
        return [ListedUser(*row) for row in rows]
