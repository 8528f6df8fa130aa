"""Counts by item and day, in rows per writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import BigInteger, bindparam, cast, delete, func, select, tuple_
from sqlalchemy.sql.elements import CompilerElement

from core.arrays import IntArray
from core.ports.item_counts import ItemDimension
from core.records.item_counts import ItemCountKey, ItemCounts
from core.records.outcomes import Measure
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import item_counts

COLUMNS = item_counts.c
KEY = ("measure", "day", "item_key", "writer_key")
NUM = cast(func.sum(COLUMNS.num), BigInteger)


def _of_items(dialect: Dialect) -> CompilerElement:
    group = (COLUMNS.measure, COLUMNS.day, COLUMNS.item_key)
    wanted = (
        dialect.is_in(column, name) for column, name in zip(group, ("measures", "days", "item_keys"), strict=True)
    )
    return select(*group, NUM).where(*wanted).group_by(*group)


def _totals(by: ItemDimension) -> Callable[[Dialect], CompilerElement]:
    def statement(dialect: Dialect) -> CompilerElement:
        group = ({"item": COLUMNS.item_key, "day": COLUMNS.day}[by], COLUMNS.measure)
        integers = (cast(column, BigInteger) for column in group)
        days = COLUMNS.day.between(bindparam("since_day"), bindparam("until_day"))
        wanted = (dialect.is_in(COLUMNS.measure, "measures"), days)
        return (
            select(*integers, NUM).where(*wanted).group_by(*group).having(func.sum(COLUMNS.num) != 0).order_by(*group)
        )

    return statement


TOTALS = {by: _totals(by) for by in ("item", "day")}


def _add(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(item_counts, *KEY, "num")
    total = {"num": COLUMNS.num + insert.excluded.num}
    return insert.on_conflict_do_update(index_elements=list(KEY), set_=total)


def _clear(dialect: Dialect) -> CompilerElement:
    return delete(item_counts).where(COLUMNS.measure != Measure.SHOWN)


def _delete_shown_before(dialect: Dialect) -> CompilerElement:
    key = tuple(item_counts.primary_key.columns)
    old = (COLUMNS.measure == Measure.SHOWN, COLUMNS.day < bindparam("day"))
    return delete(item_counts).where(
        tuple_(*key).in_(select(*key).where(*old).order_by(*key).limit(bindparam("limit")))
    )


class ItemCountRepository:
    """`core.ports.item_counts.ItemCountRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_items(
        self, item_keys: Sequence[int], *, measures: Sequence[int], since_day: int, until_day: int
    ) -> ItemCounts:
        """These counts of these items; the primary key is searched for each."""
        values = {"measures": measures, "days": range(since_day, until_day + 1), "item_keys": item_keys}
        parameters = {name: self._session.array(numbers) for name, numbers in values.items()}
        return {ItemCountKey(*key): num for *key, num in self._session.rows(_of_items, **parameters) if num}

    def totals(self, by: ItemDimension, *, measures: Sequence[int], since_day: int, until_day: int) -> IntArray:
        """(n, 3) item key or day, measure, number, without those that are 0; ascending."""
        wanted = {"measures": self._session.array(measures), "since_day": since_day, "until_day": until_day}
        return self._session.integers(TOTALS[by], 3, **wanted)

    def add(self, writer_key: int, counts: ItemCounts) -> None:
        """Add to this writer's counts."""
        self._session.write(_add, [(*key, writer_key, num) for key, num in sorted(counts.items())])

    def clear(self) -> None:
        """Delete the counts that come from events."""
        self._session.run(_clear)

    def delete_shown_before(self, day: int, *, limit: int) -> int:
        """Delete the oldest counts of items shown before a day."""
        return self._session.run(_delete_shown_before, day=day, limit=limit)
