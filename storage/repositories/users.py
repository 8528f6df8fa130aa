"""Users: states, locks and erasure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
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
from core.records.stored import KnownId, UserShift, UserSnapshot, UserState, UserVersion
from storage.codec import pack_history, user_hash
from storage.dialects import Dialect
from storage.repositories.dead_letters import DeadLetterRepository
from storage.repositories.drift import DriftRepository
from storage.repositories.items import current_revision
from storage.repositories.user_attributes import UserAttributeRepository
from storage.repositories.user_pages import STATE, UserPages, activity_step, state_of
from storage.repositories.vectors import VectorRepository
from storage.session import Session
from storage.tables import erased_users, interactions, undone_events, users

MAX_TYPES = 2**15  # event types: their codes are 16-bit integers
SAVED = ("seq", "num_events", "window", "newest_ms", "active_ms")
NEW = ("key", "user_id", "seq", "num_events", "window", "erased_ms", "newest_ms", "active_ms")
NO_WINDOW = {"num_events": 0, "window": b"", "newest_ms": None, "active_ms": None}


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


def _new_keys(dialect: Dialect) -> CompilerElement:
    return dialect.new_keys(users, "num")


def _insert(dialect: Dialect) -> CompilerElement:
    return dialect.insert(users, *NEW)


def _lock(dialect: Dialect) -> CompilerElement:
    requested = dialect.is_in(users.c.user_id, "user_ids")
    return select(users.c.user_id, users.c.merged_into, *STATE).where(requested).order_by(users.c.key).with_for_update()


def _names(dialect: Dialect) -> CompilerElement:
    names = or_(users.c.key == bindparam("user_key"), users.c.merged_into == bindparam("user_key"))
    return select(users.c.user_id).where(names).order_by(users.c.merged_into.is_not(None), users.c.user_id)


def _lock_ids(dialect: Dialect) -> CompilerElement:
    requested = dialect.is_in(users.c.user_id, "user_ids")
    columns = (users.c.user_id, users.c.key, users.c.merged_into, users.c.erased_ms)
    return select(*columns).where(requested).order_by(users.c.key).with_for_update()


def _own_ids(dialect: Dialect) -> CompilerElement:
    return select(users.c.key, users.c.user_id).where(dialect.is_in(users.c.key, "user_keys"))


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
    return dialect.update(users, *SAVED, key="key")


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


def _saved(state: UserState) -> tuple[int, int, bytes, int | None, int | None, int]:
    newest_ms = state.window.last_time_ms
    active_ms = None if newest_ms is None else activity_step(newest_ms)
    return (state.seq, state.window.num_events, pack_history(state.window.history), newest_ms, active_ms, state.key)


def _first_state(key: int, erasure: tuple[int, int] | None) -> UserState:
    erased_ms, seq = erasure or (None, 0)
    return UserState(key, seq, erased_ms=erased_ms)


def _inserted(user_id: str, state: UserState) -> tuple[Any, ...]:
    seq, num_events, window, *times_ms, key = _saved(state)
    return (key, user_id, seq, num_events, window, state.erased_ms, *times_ms)


class UserRepository(UserPages):
    """`core.ports.users.UserRepository` over a session."""

    __slots__ = ("_marks", "_secret")

    def __init__(self, session: Session, secret: bytes) -> None:
        super().__init__(session)
        self._secret = secret
        self._marks: dict[str, tuple[int, int]] = {}  # erasures of new users, as this transaction first read them

    def by_key(self, keys: Sequence[int]) -> list[UserState]:
        """The states of the users with these keys, in ascending key."""
        return [
            state_of(row) for row in self._session.rows(_find_by_key, user_keys=self._session.array(map(int, keys)))
        ]

    def find(self, user_id: str) -> UserState | None:
        """A user's state, or None if the user is unknown."""
        row = self._session.row(_find, user_id=user_id)
        return None if row is None else state_of(row)

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
        return revision or 0, UserSnapshot(state_of(tuple(state)), item_types)

    def version(self, user_id: str) -> tuple[int, UserVersion | None]:
        """The item revision and the version of a user's state, None if the user is unknown."""
        [(revision, key, *rest)] = self._session.rows(_version, user_id=user_id)
        return revision or 0, None if key is None else UserVersion(key, *rest)

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
        new = self.new_states(sorted(set(user_ids).difference(states)), unless_erased=unless_erased)
        self.insert(new)
        return states | new

    def new_states(
        self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None
    ) -> dict[str, UserState]:
        """The first states of users that do not exist, for `insert`; those of erased users continue their sequence."""
        if not user_ids:
            return {}
        marks = self._erasures(user_ids)
        kept = [
            user_id
            for user_id in user_ids
            if user_id not in marks or (unless_erased or {}).get(user_id, marks[user_id][0] + 1) > marks[user_id][0]
        ]
        self._marks |= marks
        keys = sorted(key for (key,) in self._session.rows(_new_keys, num=len(kept))) if kept else []
        return {user_id: _first_state(key, marks.get(user_id)) for user_id, key in zip(kept, keys, strict=True)}

    def insert(self, states: Mapping[str, UserState]) -> None:
        """Store users of `new_states`, in ascending id.

        Raises `StoreConflict` if another transaction created one of them. Erasures are read again, because one that
        the insert waited for is visible only now.
        """
        if not states:
            return
        self._session.write(_insert, [_inserted(user_id, states[user_id]) for user_id in sorted(states)])
        marks = self._erasures(list(states))
        if any(marks.get(user_id) != self._marks.get(user_id) for user_id in states):
            raise StoreConflict("another transaction erased a user at the same moment; run the transaction again")

    def lock_known(self, user_ids: Sequence[str]) -> dict[str, UserState]:
        """The states of those of these users that exist, locked until the transaction ends."""
        rows = self._session.rows(_lock, user_ids=self._session.array(user_ids))
        states = {row[0]: state_of(row[2:]) for row in rows}
        merged = {row[0]: row[1] for row in rows if row[1] is not None}
        if merged:
            owners = self._lock_owners(merged.values())
            states |= {
                user_id: replace(owners[key], erased_ms=states[user_id].erased_ms) for user_id, key in merged.items()
            }
        return states

    def lock_ids(self, user_ids: Sequence[str]) -> dict[str, KnownId]:
        """What those of these ids that exist mean, locked until the transaction ends; cheaper than their states."""
        rows = self._session.rows(_lock_ids, user_ids=self._session.array(user_ids))
        merged = {owner for _, _, owner, _ in rows if owner is not None}
        own_ids: dict[int, str] = {}
        if merged:
            self._lock_owners(merged)
            own_ids.update(self._session.rows(_own_ids, user_keys=self._session.array(sorted(merged))))
        return {
            user_id: KnownId(key, user_id, erased_ms) if owner is None else KnownId(owner, own_ids[owner], erased_ms)
            for user_id, key, owner, erased_ms in rows
        }

    def _lock_owners(self, keys: Iterable[int]) -> dict[int, UserState]:
        """The users that others were merged into, by key.

        Not in the order of keys: among batches with merged ids a deadlock is possible. PostgreSQL ends it after a
        second as a conflict, and the batch runs again.
        """
        wanted = sorted(set(keys))
        owners = {state.key: state for state in self.lock_by_key(wanted)}
        if len(owners) < len(wanted):
            msg = "another transaction erased a user at the same moment; run the transaction again"
            raise StoreConflict(msg)
        return owners

    def ids_of(self, key: int) -> list[str]:
        """All ids of the user with this key, its own first."""
        return [user_id for (user_id,) in self._session.rows(_names, user_key=key)]

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
        return [state_of(row) for row in self._session.rows(_lock_by_key, user_keys=self._session.array(keys))]

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
