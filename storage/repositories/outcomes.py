"""Outcomes: events attributed to answers, and their counts in rows per writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import BigInteger, bindparam, cast, delete, func, or_, select
from sqlalchemy.sql.elements import CompilerElement

from core.ports.outcomes import Dimension, Total
from core.records.outcomes import OF_EVENTS, Counts, Outcome
from storage.dialects import Dialect, Row
from storage.session import Session
from storage.tables import answers, deferred_outcomes, outcome_counts, outcomes

COLUMNS = tuple(outcomes.c[name] for name in Outcome._fields)
COUNT = ("day", "writer_key", "origin_key", "position", "measure")
GROUPS = {"day": outcome_counts.c.day, "origin": outcome_counts.c.origin_key, "position": outcome_counts.c.position}
NO_KEY = b""


def _of_answers(dialect: Dialect) -> CompilerElement:
    return select(*COLUMNS).where(dialect.key_is_in(outcomes.c.answer_key, "keys")).order_by(*COLUMNS[:4])


def _of_events(dialect: Dialect) -> CompilerElement:
    return select(*COLUMNS).where(dialect.key_is_in(outcomes.c.event_key, "keys")).order_by(*COLUMNS[:4])


def _page(dialect: Dialect) -> CompilerElement:
    after = outcomes.c.answer_key > bindparam("answer_key")
    return select(*COLUMNS).where(after).order_by(*COLUMNS[:4]).limit(bindparam("limit"))


def _add(dialect: Dialect) -> CompilerElement:
    return dialect.insert(outcomes, *Outcome._fields)


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(outcomes).where(dialect.key_is_in(outcomes.c.event_key, "keys"))


def _add_counts(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(outcome_counts, *COUNT, "num", "value")
    sums = {name: outcome_counts.c[name] + insert.excluded[name] for name in ("num", "value")}
    return insert.on_conflict_do_update(index_elements=list(COUNT), set_=sums)


def _clear_counts(dialect: Dialect) -> CompilerElement:
    return delete(outcome_counts).where(or_(*(outcome_counts.c.measure == int(measure) for measure in OF_EVENTS)))


def _totals(by: Dimension) -> Callable[[Dialect], CompilerElement]:
    def statement(dialect: Dialect) -> CompilerElement:
        group, measure = GROUPS[by], outcome_counts.c.measure
        sums = (cast(func.sum(outcome_counts.c.num), BigInteger), func.sum(outcome_counts.c.value))
        days = outcome_counts.c.day.between(bindparam("since_day"), bindparam("until_day"))
        return select(group, measure, *sums).where(days).group_by(group, measure).order_by(group, measure)

    return statement


TOTALS: dict[Dimension, Callable[[Dialect], CompilerElement]] = {
    "day": _totals("day"),
    "origin": _totals("origin"),
    "position": _totals("position"),
}


def _deferred(dialect: Dialect) -> CompilerElement:
    stored = answers.c.key == deferred_outcomes.c.answer_key
    pairs = select(deferred_outcomes.c.event_key, deferred_outcomes.c.answer_key).join_from(
        deferred_outcomes, answers, stored
    )
    return pairs.limit(bindparam("limit"))


def _defer(dialect: Dialect) -> CompilerElement:
    return dialect.insert(deferred_outcomes, "event_key", "answer_key", "deferred_ms")


def _delete_deferred(dialect: Dialect) -> CompilerElement:
    return delete(deferred_outcomes).where(dialect.key_is_in(deferred_outcomes.c.event_key, "keys"))


def _expire_deferred(dialect: Dialect) -> CompilerElement:
    stored = select(answers.c.key).where(answers.c.key == deferred_outcomes.c.answer_key).exists()
    return delete(deferred_outcomes).where(deferred_outcomes.c.deferred_ms < bindparam("before_ms"), ~stored)


class OutcomeRepository:
    """`core.ports.outcomes.OutcomeRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_answers(self, answer_keys: Sequence[bytes]) -> list[Outcome]:
        """The outcomes of these answers, ascending."""
        return [_outcome(row) for row in self._session.rows(_of_answers, keys=self._session.keys(answer_keys))]

    def of_events(self, event_keys: Sequence[bytes]) -> list[Outcome]:
        """The outcomes of these events, ascending."""
        rows = self._session.rows(_of_events, keys=self._session.keys(event_keys)) if event_keys else []
        return [_outcome(row) for row in rows]

    def pages(self, *, chunk: int = 50_000) -> Iterator[list[Outcome]]:
        """All outcomes, ascending; an answer that a page would split is in the next one."""
        last, limit = NO_KEY, chunk
        while rows := self._session.rows(_page, answer_key=last, limit=limit):
            page = [_outcome(row) for row in rows]
            if len(page) == limit:
                whole = [outcome for outcome in page if outcome.answer_key != page[-1].answer_key]
                if not whole:  # one answer alone is larger
                    limit *= 2
                    continue
                page = whole
            yield page
            last = page[-1].answer_key

    def totals(self, by: Dimension, *, since_day: int, until_day: int) -> list[Total]:
        """The counts of the days from one to another, by group and measure, summed over all writers."""
        return [(*row,) for row in self._session.rows(TOTALS[by], since_day=since_day, until_day=until_day)]

    def deferred(self, *, limit: int) -> list[tuple[bytes, bytes]]:
        """Deferred events whose answers are stored: pairs of event key and answer key."""
        return [(bytes(event), bytes(answer)) for event, answer in self._session.rows(_deferred, limit=limit)]

    def add(self, new: Sequence[Outcome]) -> None:
        """Store outcomes of new events."""
        self._session.write(_add, new)

    def delete(self, event_keys: Sequence[bytes]) -> None:
        """Delete the outcomes of these events."""
        self._session.run(_delete, keys=self._session.keys(event_keys))

    def add_counts(self, writer_key: int, counts: Counts) -> None:
        """Add to this writer's counts."""
        rows = [(key.day, writer_key, *key[1:], *counts[key]) for key in sorted(counts)]
        self._session.write(_add_counts, rows)

    def clear_counts(self) -> None:
        """Delete the counts that come from events."""
        self._session.run(_clear_counts)

    def defer(self, pairs: Sequence[tuple[bytes, bytes]], *, now_ms: int) -> None:
        """Remember events that came before their answer."""
        self._session.write(_defer, [(*pair, now_ms) for pair in sorted(pairs)])

    def delete_deferred(self, event_keys: Sequence[bytes]) -> None:
        """Forget deferred events."""
        self._session.run(_delete_deferred, keys=self._session.keys(event_keys))

    def expire_deferred(self, *, before_ms: int) -> None:
        """Forget the events that were deferred before a time and whose answers are not stored."""
        self._session.run(_expire_deferred, before_ms=before_ms)


def _outcome(row: Row) -> Outcome:
    answer_key, position, measure, event_key, *rest = row
    return Outcome(bytes(answer_key), position, measure, bytes(event_key), *rest)
