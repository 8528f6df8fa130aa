"""Users: states, locks and erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.sql.elements import CompilerElement

from core.errors import StoreConflict
from core.events.history import Window
from core.records.stored import ListedUser, UserShift, UserSnapshot, UserState, UserVersion
from storage.codec import pack_history, unpack_history, user_hash
from storage.dialects import Dialect, Row
from storage.repositories.dead_letters import DeadLetterRepository
from storage.repositories.drift import DriftRepository
from storage.repositories.items import current_revision
from storage.repositories.user_attributes import UserAttributeRepository
from storage.repositories.vectors import VectorRepository
from storage.session import Session
from storage.tables import erased_users, interactions, undone_events, users

MAX_TYPES = 2**15  # event types: their codes are 16-bit integers
HIGHEST_CHARACTER = "\U0010ffff"  # ids with a prefix sort before the prefix and this
ACTIVITY_MS = 300_000  # the steps of users.active_ms
AFTER_ALL = (2**62, 0)  # a time and a key
LISTED = tuple(users.c[name] for name in ListedUser._fields)
NO_WINDOW = {"num_events": 0, "window": b"", "newest_ms": None, "active_ms": None}
STATE = (users.c.key, users.c.seq, users.c.num_events, users.c.window, users.c.erased_ms)


def _owner_key() -> ScalarSelect[Any]:
    """The key of the user that an id means."""
    named = users.alias("named").c
    return (
        select(func.coalesce(named.merged_into, named.key))
        .where(named.user_id == bindparam("user_id"))
        .scalar_subquery()
    )


def _find(dialect: Dialect) -> CompilerElement:
    return select(*STATE).where(users.c.key == _owner_key())


def _with_revision(*columns: ColumnElement[Any]) -> CompilerElement:
    """The item revision and these columns of the user: one row, also for an unknown user."""
    revision = select(current_revision().label("revision")).subquery()
    return select(revision.c.revision, *columns).select_from(revision.outerjoin(users, users.c.key == _owner_key()))


def _snapshot(dialect: Dialect) -> CompilerElement:
    """What the reader knows already is NULL."""
    changed = or_(users.c.key != bindparam("known_key"), users.c.seq != bindparam("known_seq"))
    requested = (interactions.c.user_key == users.c.key, dialect.is_in(interactions.c.type_code, "type_codes"))
    item_type = interactions.c.item_key * MAX_TYPES + interactions.c.type_code
    collected = dialect.collected(item_type, interactions.c.time_ms, interactions.c.user_seq)
    events = select(collected).where(*requested).scalar_subquery()
    new = (case((changed, users.c.window)).label("new_window"), case((changed, events)).label("events"))
    return _with_revision(new[1], users.c.key, users.c.seq, users.c.num_events, new[0], users.c.erased_ms)


def _version(dialect: Dialect) -> CompilerElement:
    return _with_revision(users.c.key, users.c.seq, users.c.newest_ms)


def _find_by_key(dialect: Dialect) -> Select[Any]:
    return select(*STATE).where(dialect.is_in(users.c.key, "user_keys")).order_by(users.c.key)


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


def _insert(dialect: Dialect) -> CompilerElement:
    return dialect.insert(users, "user_id", "seq", "num_events", "window", "erased_ms").on_conflict_do_nothing()


def _lock(dialect: Dialect) -> CompilerElement:
    requested = dialect.is_in(users.c.user_id, "user_ids")
    return select(users.c.user_id, users.c.merged_into, *STATE).where(requested).order_by(users.c.key).with_for_update()


def _names(dialect: Dialect) -> CompilerElement:
    names = or_(users.c.key == bindparam("user_key"), users.c.merged_into == bindparam("user_key"))
    return select(users.c.user_id).where(names).order_by(users.c.merged_into.is_not(None), users.c.user_id)


def _owners(dialect: Dialect) -> CompilerElement:
    owner = users.alias("owner")
    merged = select(users.c.user_id, owner.c.user_id).join_from(users, owner, users.c.merged_into == owner.c.key)
    return merged.where(dialect.is_in(users.c.user_id, "user_ids"))


def _ids(dialect: Dialect) -> CompilerElement:
    names = or_(users.c.key == bindparam("user_key"), users.c.merged_into == bindparam("user_key"))
    return select(users.c.user_id, users.c.erased_ms).where(names).order_by(users.c.key).with_for_update()


def _rename(dialect: Dialect) -> CompilerElement:
    names = or_(users.c.key == bindparam("source_key"), users.c.merged_into == bindparam("source_key"))
    return update(users).where(names).values(merged_into=bindparam("target_key"), **NO_WINDOW)


def _move_events(dialect: Dialect) -> CompilerElement:
    moved = {"user_key": bindparam("target_key"), "user_seq": interactions.c.user_seq + bindparam("target_seq")}
    return update(interactions).where(interactions.c.user_key == bindparam("source_key")).values(moved)


def _move_undone(dialect: Dialect) -> CompilerElement:
    moved = undone_events.c.user_key == bindparam("source_key")
    return update(undone_events).where(moved).values(user_key=bindparam("target_key"))


def _lock_by_key(dialect: Dialect) -> CompilerElement:
    return _find_by_key(dialect).with_for_update()


def _save(dialect: Dialect) -> CompilerElement:
    return dialect.update(users, "seq", "num_events", "window", "newest_ms", "active_ms", key="key")


def _save_shifts(dialect: Dialect) -> CompilerElement:
    return dialect.update(users, "shift_ms", "shift_distance", key="key")


def _erasures(dialect: Dialect) -> CompilerElement:
    requested = dialect.key_is_in(erased_users.c.hash, "hashes")
    return select(erased_users.c.hash, erased_users.c.time_ms, erased_users.c.last_seq).where(requested)


def _mark_erased(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(erased_users, "hash", "time_ms", "last_seq")
    new = {"time_ms": insert.excluded.time_ms, "last_seq": insert.excluded.last_seq}
    return insert.on_conflict_do_update(index_elements=["hash"], set_=new)


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(users).where(or_(users.c.key == bindparam("user_key"), users.c.merged_into == bindparam("user_key")))


def _delete_events(dialect: Dialect) -> CompilerElement:
    return delete(interactions).where(interactions.c.user_key == bindparam("user_key"))


def _delete_undone(dialect: Dialect) -> CompilerElement:
    return delete(undone_events).where(undone_events.c.user_key == bindparam("user_key"))


def _newest_ms(dialect: Dialect) -> CompilerElement:
    tables = (interactions.c, undone_events.c)
    newest = (select(func.max(table.time_ms)).where(table.user_key == bindparam("user_key")) for table in tables)
    return select(*(query.scalar_subquery() for query in newest))


def _clear_windows(dialect: Dialect) -> CompilerElement:
    return update(users).values(**NO_WINDOW)


def _state(row: Row) -> UserState:
    key, seq, num_events, window, erased_ms = row
    return UserState(key, seq, Window(num_events, unpack_history(window)), erased_ms)


def _step(time_ms: int) -> int:
    return time_ms - time_ms % ACTIVITY_MS


def _saved(state: UserState) -> tuple[int, int, bytes, int | None, int | None, int]:
    newest_ms = state.window.last_time_ms
    active_ms = None if newest_ms is None else _step(newest_ms)
    return (state.seq, state.window.num_events, pack_history(state.window.history), newest_ms, active_ms, state.key)


class UserRepository:
    """`core.ports.users.UserRepository` over a session."""

    __slots__ = ("_secret", "_session")

    def __init__(self, session: Session, secret: bytes) -> None:
        self._session = session
        self._secret = secret

    def by_key(self, keys: Sequence[int]) -> list[UserState]:
        """The states of the users with these keys, in ascending key."""
        return [_state(row) for row in self._session.rows(_find_by_key, user_keys=self._session.array(map(int, keys)))]

    def find(self, user_id: str) -> UserState | None:
        """A user's state, or None if the user is unknown."""
        row = self._session.row(_find, user_id=user_id)
        return None if row is None else _state(row)

    def snapshot(
        self, user_id: str, *, type_codes: Sequence[int], known: UserSnapshot | None = None
    ) -> tuple[int, UserSnapshot | None]:
        """The item revision and a user's snapshot, None if the user is unknown."""
        known_key, known_seq = (known.state.key, known.state.seq) if known else (-1, -1)
        parameters = {"user_id": user_id, "known_key": known_key, "known_seq": known_seq}
        [row] = self._session.rows(_snapshot, type_codes=self._session.array(type_codes), **parameters)
        revision, events, *state = row
        if state[0] is None:
            return revision or 0, None
        if known is not None and state[:2] == [known_key, known_seq]:
            return revision or 0, known
        item_types = np.stack(np.divmod(self._session.integers_of(events), MAX_TYPES), axis=1)
        return revision or 0, UserSnapshot(_state(tuple(state)), item_types)

    def version(self, user_id: str) -> tuple[int, UserVersion | None]:
        """The item revision and the version of a user's state, None if the user is unknown."""
        [(revision, key, *rest)] = self._session.rows(_version, user_id=user_id)
        return revision or 0, None if key is None else UserVersion(key, *rest)

    def page(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        """Users in ascending id after `after` whose id begins with `prefix`."""
        end = prefix + HIGHEST_CHARACTER
        rows = self._session.rows(_list, after=after, first=prefix, end=end, limit=limit)
        return [(row[0], _state(row[1:])) for row in rows]

    def by_id(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[ListedUser]:
        """Users in ascending id after `after` whose id begins with `prefix`."""
        end = prefix + HIGHEST_CHARACTER
        return [ListedUser(*row) for row in self._session.rows(_by_id, after=after, first=prefix, end=end, limit=limit)]

    def by_activity(self, *, before: tuple[int, int] = AFTER_ALL, limit: int = 100) -> list[ListedUser]:
        """Users in descending time of their newest windowed event, then key."""
        newest_ms, key = before
        parameters = {"active_ms": _step(newest_ms), "newest_ms": newest_ms, "before_key": key}
        return [ListedUser(*row) for row in self._session.rows(_recent, limit=limit, **parameters)]

    def by_shift(self, *, before: tuple[int, int] = AFTER_ALL, limit: int = 100) -> list[ListedUser]:
        """Users whose interest shifted, in descending time of the shift, then key."""
        shift_ms, key = before
        rows = self._session.rows(_shifted, shift_ms=shift_ms, before_key=key, limit=limit)
        return [ListedUser(*row) for row in rows]

    def save_shifts(self, shifts: Sequence[UserShift]) -> None:
        """Store the newest tests of users' interests."""
        self._session.write(_save_shifts, [(shift.since_ms, shift.distance, shift.user_key) for shift in shifts])

    def lock(self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None) -> dict[str, UserState]:
        """The states of these users, created where they are new, locked until the transaction ends.

        This order prevents deadlock. Known users are locked first, in ascending key: these waits form a chain of rising
        keys. Then new users are inserted in ascending id: a transaction can only wait here for another inserter of the
        same id, which is past the first step: a chain of rising ids. No lock is taken after that.
        """
        states = self.lock_known(user_ids)
        missing = sorted(set(user_ids).difference(states))
        if missing:
            erasures = self._erasures(missing)
            skipped = {
                user_id
                for user_id, (erased_ms, _) in erasures.items()
                if (unless_erased or {}).get(user_id, erased_ms + 1) <= erased_ms
            }
            states |= self._add([user_id for user_id in missing if user_id not in skipped], erasures)
        return states

    def lock_known(self, user_ids: Sequence[str]) -> dict[str, UserState]:
        """The states of those of these users that exist, locked until the transaction ends."""
        rows = self._session.rows(_lock, user_ids=self._session.array(user_ids))
        states = {row[0]: _state(row[2:]) for row in rows}
        merged = {row[0]: row[1] for row in rows if row[1] is not None}
        if merged:
            # Not in the order of keys: among batches with merged ids a deadlock is possible. PostgreSQL ends it after
            # a second as a conflict, and the batch runs again.
            owners = {state.key: state for state in self.lock_by_key(sorted(set(merged.values())))}
            if len(owners) < len(set(merged.values())):
                msg = "another transaction erased a user at the same moment; run the transaction again"
                raise StoreConflict(msg)
            states |= {
                user_id: replace(owners[key], erased_ms=states[user_id].erased_ms) for user_id, key in merged.items()
            }
        return states

    def ids_of(self, key: int) -> list[str]:
        """All ids of the user with this key, its own first."""
        return [user_id for (user_id,) in self._session.rows(_names, user_key=key)]

    def owners(self, user_ids: Sequence[str]) -> dict[str, str]:
        """For those of these ids that were merged into another user: that user's own id."""
        return dict(self._session.rows(_owners, user_ids=self._session.array(user_ids)))

    def merge(self, source: UserState, target: UserState) -> None:
        """Give a locked user's events and ids to another."""
        keys = {"source_key": source.key, "target_key": target.key}
        self._session.run(_move_events, **keys, target_seq=target.seq)
        self._session.run(_move_undone, **keys)
        DriftRepository(self._session).move_user(source.key, target.key)
        VectorRepository(self._session).erase_user(source.key)
        self._session.run(_rename, **keys)

    def lock_by_key(self, keys: Sequence[int]) -> list[UserState]:
        """The states of the users with these keys, in ascending key, locked until the transaction ends."""
        return [_state(row) for row in self._session.rows(_lock_by_key, user_keys=self._session.array(keys))]

    def _add(self, user_ids: Sequence[str], erasures: Mapping[str, tuple[int, int]]) -> dict[str, UserState]:
        """Create users; a user who returns after an erasure continues its sequence.

        Raises `StoreConflict` if another transaction created one of them: waiting for its lock now could deadlock.
        Erasures are read again, because one that the insert waited for is visible only now.
        """
        if not user_ids:
            return {}
        starts = [(user_id, *erasures.get(user_id, (None, 0))) for user_id in user_ids]
        num_created = self._session.write(
            _insert, [(user_id, seq, 0, b"", erased_ms) for user_id, erased_ms, seq in starts]
        )
        current = self._erasures(user_ids)
        if num_created < len(user_ids) or any(erasures.get(user_id) != mark for user_id, mark in current.items()):
            raise StoreConflict(
                "another transaction created or erased a user at the same moment; run the transaction again"
            )
        return self.lock_known(user_ids)

    def _erasures(self, user_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """When (ms) and at which sequence these users were erased, if they were."""
        names = {user_hash(self._secret, user_id): user_id for user_id in user_ids}
        rows = self._session.rows(_erasures, hashes=self._session.keys(names))
        return {names[bytes(digest)]: (time_ms, last_seq) for digest, time_ms, last_seq in rows}

    def erasure_times(self, user_ids: Sequence[str]) -> dict[str, int]:
        """When these users were erased (ms)."""
        return {user_id: erased_ms for user_id, (erased_ms, _) in self._erasures(user_ids).items()}

    def save(self, states: Sequence[UserState]) -> None:
        """Store sequence and window of locked users."""
        self._session.write(_save, [_saved(state) for state in states])

    def erase(self, user_id: str, *, now_ms: int) -> bool:
        """Delete all data of a user except a keyed hash of each id; False if there was no data."""
        states = self.lock_known([user_id])
        if not states:
            return DeadLetterRepository(self._session).erase_user(user_id)
        state = states[user_id]
        ids = self._session.rows(_ids, user_key=state.key)
        # Not before the newest event, undone or not, whose time may lie a little ahead of the clock, nor before an
        # earlier erasure: deleted events must not come back by redelivery.
        (newest,) = self._session.rows(_newest_ms, user_key=state.key)
        mark_ms = max(now_ms, *(time_ms or 0 for time_ms in newest), *(erased_ms or 0 for _, erased_ms in ids))
        self._session.run(_delete_events, user_key=state.key)
        self._session.run(_delete_undone, user_key=state.key)
        VectorRepository(self._session).erase_user(state.key)
        DriftRepository(self._session).erase_user(state.key)
        UserAttributeRepository(self._session).delete([state.key])
        self._session.run(_delete, user_key=state.key)
        for name, _ in ids:
            DeadLetterRepository(self._session).erase_user(name)
        marks = sorted((user_hash(self._secret, name), mark_ms, state.seq) for name, _ in ids)
        self._session.write(_mark_erased, marks)
        return True

    def clear_windows(self) -> None:
        """Empty the window of every user."""
        self._session.run(_clear_windows)
