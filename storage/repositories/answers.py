"""Answers: what was recommended to whom, and the items that were shown on each day."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, delete, exists, func, select, tuple_, update
from sqlalchemy.sql.elements import CompilerElement

from core.clock import DAY_MS
from core.records.outcomes import Origin, StoredAnswer, Wanted, first_key_at
from storage.codec import KEY_BYTES, pack_keys, pack_numbers, unpack_keys, unpack_numbers
from storage.dialects import Dialect, Row
from storage.session import Session
from storage.tables import answer_origins, answers, items_shown

COLUMNS = tuple(column.name for column in answers.c)
ROW = tuple(answers.c)
ORIGIN = tuple(answer_origins.c[name] for name in Origin._fields)
OWNER = answers.c.user_id


def _by_key(dialect: Dialect) -> CompilerElement:
    return select(*ROW).where(dialect.key_is_in(answers.c.key, "keys")).order_by(answers.c.key)


def _lock(dialect: Dialect) -> CompilerElement:
    rows = select(*ROW).where(dialect.key_is_in(answers.c.key, "keys")).order_by(answers.c.key)
    return rows.with_for_update()


# By the primary key, which begins with the time.
BETWEEN = select(answers.c.key).where(answers.c.key >= bindparam("first_key"), answers.c.key < bindparam("last_key"))


def _any_between(dialect: Dialect) -> CompilerElement:
    return BETWEEN.limit(1)


def _that_showed(dialect: Dialect) -> CompilerElement:
    """Answers in a period that hold the bytes of an item's key, for each pair of user and item.

    One look at the primary key ends it where no answer is that recent.
    """
    pairs = dialect.pairs("user_ids", "items", part_bytes=KEY_BYTES)
    return select(pairs.number, answers.c.time_ms, answers.c.key, answers.c.item_keys).where(
        exists(BETWEEN.correlate(None)),
        OWNER.is_not(None),
        pairs.text == OWNER,
        answers.c.time_ms >= bindparam("since_ms"),
        answers.c.time_ms <= bindparam("until_ms"),
        dialect.contains(answers.c.item_keys, pairs.part),
    )


def _add(dialect: Dialect) -> CompilerElement:
    return dialect.insert(answers, *COLUMNS)


def _rename_user(dialect: Dialect) -> CompilerElement:
    own = (OWNER.is_not(None), bindparam("old_id") == OWNER)
    return update(answers).where(*own).values(user_id=bindparam("new_id"))


def _erase_users(dialect: Dialect) -> CompilerElement:
    return delete(answers).where(OWNER.is_not(None), dialect.is_in(OWNER, "user_ids")).returning(*ROW)


def _delete_before(dialect: Dialect) -> CompilerElement:
    oldest = select(answers.c.key).where(answers.c.key < bindparam("first_key"))
    return delete(answers).where(answers.c.key.in_(oldest.order_by(answers.c.key).limit(bindparam("limit"))))


def _delete_shown_before(dialect: Dialect) -> CompilerElement:
    key = tuple(items_shown.primary_key.columns)
    oldest = select(*key).where(items_shown.c.day < bindparam("first_day")).order_by(*key).limit(bindparam("limit"))
    return delete(items_shown).where(tuple_(*key).in_(oldest))


def _randomised(dialect: Dialect) -> CompilerElement:
    drawn = (
        OWNER.is_not(None),
        answers.c.propensities.is_not(None),
        dialect.is_in(answers.c.origin_key, "origin_keys"),
    )
    return select(*ROW).where(*drawn).order_by(answers.c.key.desc()).limit(bindparam("limit"))


def _origins(dialect: Dialect) -> CompilerElement:
    return select(answer_origins.c.key, *ORIGIN)


def _add_origins(dialect: Dialect) -> CompilerElement:
    return dialect.insert(answer_origins, *Origin._fields).on_conflict_do_nothing()


def _add_items_shown(dialect: Dialect) -> CompilerElement:
    return dialect.insert(items_shown, "day", "origin_key", "item_key").on_conflict_do_nothing()


def _num_items_shown(by: str | None) -> Callable[[Dialect], CompilerElement]:
    def statement(dialect: Dialect) -> CompilerElement:
        num = func.count(items_shown.c.item_key.distinct())
        group = items_shown.c.day if by == "day" else None if by is None else answer_origins.c[by]
        rows = select(num) if group is None else select(group, num).group_by(group)
        joined = rows.join_from(items_shown, answer_origins, items_shown.c.origin_key == answer_origins.c.key)
        return joined.where(items_shown.c.day.between(bindparam("since_day"), bindparam("until_day")))

    return statement


ITEMS_SHOWN = {by: _num_items_shown(by) for by in (None, "day", *Origin._fields)}


class AnswerRepository:
    """`core.ports.outcomes.AnswerRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def by_key(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        """Stored answers by their keys."""
        rows = self._session.rows(_by_key, keys=self._session.keys(keys)) if keys else []
        return {answer.key: answer for answer in map(_answer, rows)}

    def any_between(self, since_ms: int, until_ms: int) -> bool:
        """Whether an answer was given between two times, both included."""
        keys = {"first_key": first_key_at(since_ms), "last_key": first_key_at(until_ms + 1)}
        return self._session.row(_any_between, **keys) is not None

    def newest(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        """For each of them the key of the newest answer."""
        if not wanted:
            return []
        since_ms, until_ms = min(one.since_ms for one in wanted), max(one.until_ms for one in wanted)
        rows = self._session.rows(
            _that_showed,
            user_ids=self._session.array(one.user_id for one in wanted),
            items=self._session.keys(pack_keys([one.item_key]) for one in wanted),
            since_ms=since_ms,
            until_ms=until_ms,
            first_key=first_key_at(since_ms),
            last_key=first_key_at(until_ms + 1),
        )
        newest: list[tuple[int, bytes] | None] = [None] * len(wanted)
        for number, time_ms, key, item_keys in rows:
            one, known = wanted[number], newest[number]
            # The bytes of a key may also lie across two others.
            fits = one.since_ms <= time_ms <= one.until_ms and one.item_key in unpack_keys(item_keys)
            if fits and (known is None or known < (time_ms, bytes(key))):
                newest[number] = (time_ms, bytes(key))
        return [None if answer is None else answer[1] for answer in newest]

    def randomised(self, origin_keys: Sequence[int], *, limit: int) -> list[StoredAnswer]:
        """The newest answers to users, by these origins, in which something was drawn; newest first."""
        keys = self._session.array(origin_keys)
        return [_answer(row) for row in self._session.rows(_randomised, origin_keys=keys, limit=limit)]

    def origins(self) -> dict[int, Origin]:
        """All origins by key."""
        return {key: Origin(*fields) for key, *fields in self._session.rows(_origins)}

    def num_items_shown(self, by: str | None, *, since_day: int, until_day: int) -> dict[str | int, int]:
        """How many different items were shown, by a field of `Origin`, by day, or in all under the key ""."""
        rows = self._session.rows(ITEMS_SHOWN[by], since_day=since_day, until_day=until_day)
        return {"": rows[0][0]} if by is None else {group: num for group, num in rows}

    def name_origins(self, origins: Sequence[Origin]) -> dict[Origin, int]:
        """The keys of origins, created where they are new."""
        known = {origin: key for key, origin in self.origins().items()}
        missing = sorted(set(origins).difference(known))
        if missing:
            self._session.write(_add_origins, [tuple(origin) for origin in missing])
            known = {origin: key for key, origin in self.origins().items()}
        return {origin: known[origin] for origin in origins}

    def add(self, new: Sequence[StoredAnswer]) -> list[StoredAnswer]:
        """Store answers; returns those that were not stored yet."""
        known = self.by_key(sorted(answer.key for answer in new))
        added = [answer for answer in new if answer.key not in known]
        self._session.write(_add, sorted((_row(answer) for answer in added), key=lambda row: row[0]))
        return added

    def add_items_shown(self, shown: Sequence[tuple[int, int, int]]) -> None:
        """Note (day, origin key, item key) of items shown; known ones stay."""
        self._session.write(_add_items_shown, sorted(shown))

    def lock(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        """The answers that are stored, locked in ascending key until the transaction ends."""
        rows = self._session.rows(_lock, keys=self._session.keys(keys)) if keys else []
        return {answer.key: answer for answer in map(_answer, rows)}

    def rename_user(self, user_id: str, *, to: str) -> None:
        """Give the answers to one id to another."""
        self._session.run(_rename_user, old_id=user_id, new_id=to)

    def erase_users(self, user_ids: Sequence[str]) -> list[StoredAnswer]:
        """Delete the answers to these ids; returns them."""
        return [_answer(row) for row in self._session.rows(_erase_users, user_ids=self._session.array(user_ids))]

    def delete_before(self, time_ms: int, *, limit: int) -> int:
        """Delete at most `limit` answers, and notes of items shown, from before a time; returns how many of both."""
        num_answers = self._session.run(_delete_before, first_key=first_key_at(time_ms), limit=limit)
        return num_answers + self._session.run(_delete_shown_before, first_day=time_ms // DAY_MS, limit=limit)


def _row(answer: StoredAnswer) -> Row:
    packed = pack_keys(answer.item_keys), pack_numbers(answer.propensities)
    return (answer.key, answer.user_id, answer.time_ms, answer.origin_key, *packed, answer.num_new, answer.novelty)


def _answer(row: Row) -> StoredAnswer:
    key, user_id, time_ms, origin_key, item_keys, propensities, num_new, novelty = row
    probabilities = None if propensities is None else unpack_numbers(propensities)
    keys = unpack_keys(item_keys)
    return StoredAnswer(bytes(key), user_id, time_ms, origin_key, keys, probabilities, num_new, novelty)
