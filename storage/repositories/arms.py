"""Sums over the users of an experiment's arms, computed by the database from answers and outcomes.

One query: the items of answers with an event, their answers, totals by user and day, running totals of users, and what
each day adds to the sums of arms. It reads the answers since the start once and returns a row per arm and day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import starmap
from typing import get_args

from sqlalchemy import Double, and_, bindparam, case, cast, func, literal, select
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.sql.selectable import CTE

from core.clock import DAY_MS
from core.records.arms import ArmDay, ArmSums, UserSums
from core.records.outcomes import Measure, OriginField, first_key_at
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import answer_origins, answers, outcomes

Sum = ColumnElement[float]
KEY_BYTES = 4  # of an item in `answers.item_keys`
TOTALS = ("answers", "impressions", "clicks", "conversions", "revenue")


def _days(*, proven_impressions: bool) -> Callable[[Dialect], CompilerElement]:
    def statement(dialect: Dialect) -> CompilerElement:
        by_day = _by_user_and_day(dialect, proven_impressions=proven_impressions).c
        user = (by_day.arm, by_day.user_id)
        until = (
            func.sum(by_day[name]).over(partition_by=user, order_by=by_day.day).label(f"all_{name}") for name in TOTALS
        )
        running = select(by_day.arm, by_day.day, *(by_day[name] for name in TOTALS), *until).cte("running").c

        def product(name: str, other: str) -> Sum:
            after, other_after = running[f"all_{name}"], running[f"all_{other}"]
            return func.sum(after * other_after - (after - running[name]) * (other_after - running[other]))

        def num_active(name: str) -> Sum:
            after = running[f"all_{name}"]
            return func.sum(case((after != 0, 1), else_=0) - case((after - running[name] != 0, 1), else_=0))

        sums = [num_active("answers"), func.sum(running.answers)]
        sums += [func.sum(running.impressions), product("impressions", "impressions"), product("clicks", "impressions")]
        for name in TOTALS[2:]:
            sums += [func.sum(running[name]), product(name, name), num_active(name)]
        group = (running.day, running.arm)
        return select(*group, *(cast(each, Double) for each in sums)).group_by(*group).order_by(*group)

    return statement


def _by_user_and_day(dialect: Dialect, *, proven_impressions: bool) -> CTE:
    """A row per arm, user and day with answers; all totals are doubles."""
    origin = answer_origins.c
    events = _by_answer()
    shown = func.length(answers.c.item_keys) // KEY_BYTES
    impressions = func.coalesce(events.c.impressions, 0) if proven_impressions else shown
    zeros = (func.coalesce(events.c[name], 0).label(name) for name in TOTALS[2:])
    day = (answers.c.time_ms // DAY_MS).label("day")
    given = (
        select(
            origin.arm, answers.c.user_id, day, literal(1).label("answers"), impressions.label("impressions"), *zeros
        )
        .join_from(answers, answer_origins, answers.c.origin_key == origin.key)
        .outerjoin(events, events.c.answer_key == answers.c.key)
        .where(dialect.is_in(origin.arm, "labels"), answers.c.user_id.is_not(None), _in_period(answers.c.key))
        .cte("given")
        .c
    )
    group = (given.arm, given.user_id, given.day)
    totals = (cast(func.sum(given[name]), Double).label(name) for name in TOTALS)
    return select(*group, *totals).group_by(*group).cte("by_day")


def _by_answer() -> CTE:
    """Of each answer with events: its items with an event, a click, a conversion; and the revenue."""
    is_click, is_conversion = outcomes.c.measure == Measure.CLICK, outcomes.c.measure == Measure.CONVERSION
    items = (
        select(
            outcomes.c.answer_key,
            func.max(case((is_click, 1), else_=0)).label("clicks"),
            func.max(case((is_conversion, 1), else_=0)).label("conversions"),
            func.sum(case((is_conversion, func.coalesce(outcomes.c.value, 0)), else_=0)).label("revenue"),
        )
        .where(_in_period(outcomes.c.answer_key))
        .group_by(outcomes.c.answer_key, outcomes.c.position)
        .cte("items")
        .c
    )
    totals = (func.sum(items[name]).label(name) for name in TOTALS[2:])
    rows = select(items.answer_key, func.count().label("impressions"), *totals)
    return rows.group_by(items.answer_key).cte("events")


def _revenue_by_user(by: OriginField | None) -> Callable[[Dialect], CompilerElement]:
    """Of each group: users, their revenue, its squares, and the users with any."""

    def statement(dialect: Dialect) -> CompilerElement:
        bought = (
            select(outcomes.c.answer_key, func.sum(outcomes.c.value).label("revenue"))
            .where(outcomes.c.measure == Measure.CONVERSION, _in_period(outcomes.c.answer_key))
            .group_by(outcomes.c.answer_key)
            .cte("bought")
        )
        name = literal("") if by is None else answer_origins.c[by]
        users = (
            select(name.label("name"), func.sum(func.coalesce(bought.c.revenue, 0)).label("revenue"))
            .join_from(answers, answer_origins, answers.c.origin_key == answer_origins.c.key)
            .outerjoin(bought, bought.c.answer_key == answers.c.key)
            .where(answers.c.user_id.is_not(None), _in_period(answers.c.key))
            .group_by("name", answers.c.user_id)
            .cte("users")
            .c
        )
        revenue = cast(users.revenue, Double)
        sums = [func.sum(revenue), func.sum(revenue * revenue), func.sum(case((revenue != 0, 1), else_=0))]
        return select(users.name, func.count(), *(cast(each, Double) for each in sums)).group_by(users.name)

    return statement


def _in_period(key: ColumnElement[bytes]) -> ColumnElement[bool]:
    return and_(key >= bindparam("first_key"), key < bindparam("last_key"))


REVENUES = {by: _revenue_by_user(by) for by in (None, *get_args(OriginField))}
SHOWN, PROVEN = _days(proven_impressions=False), _days(proven_impressions=True)


class ArmRepository:
    """`core.ports.arms.ArmReader` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def days(
        self, labels: Sequence[str], *, since_ms: int, until_ms: int, proven_impressions: bool = False
    ) -> list[ArmDay]:
        """What each day adds to each arm."""
        period = {"first_key": first_key_at(since_ms), "last_key": first_key_at(until_ms)}
        builder = PROVEN if proven_impressions else SHOWN
        return list(starmap(_day, self._session.rows(builder, labels=self._session.array(labels), **period)))

    def revenue_by_user(self, by: OriginField | None, *, since_ms: int, until_ms: int) -> dict[str, UserSums]:
        """The revenue of users from the answers that they got, as sums over users."""
        period = {"first_key": first_key_at(since_ms), "last_key": first_key_at(until_ms)}
        return {
            name: UserSums(num, revenue, num, squares, num, revenue, int(active))
            for name, num, revenue, squares, active in self._session.rows(REVENUES[by], **period)
        }


def _day(day: int, arm: str, *sums: float) -> ArmDay:
    users, num_answers, base, base_squares, products = sums[:5]
    num_users = int(users)
    (clicked, *clicks), *others = (sums[at : at + 3] for at in (5, 8, 11))
    of_clicks = UserSums(num_users, clicked, base, clicks[0], base_squares, products, int(clicks[1]))
    per_user = (
        UserSums(num_users, value, users, squares, users, value, int(active)) for value, squares, active in others
    )
    return ArmDay(arm, day, ArmSums(int(num_answers), of_clicks, *per_user))
