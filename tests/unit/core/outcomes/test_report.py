"""The report: groups, rates and what whole lists have."""

from __future__ import annotations

import pytest
from doubles import MemoryStore
from outcome_log import OutcomeShop

from core.clock import DAY_MS
from core.outcomes.report import Grouping, ImpressionSource, OutcomeReport, Unit, outcome_report


def a_shop() -> OutcomeShop:
    """Three answers of two items each; of the first, one item is clicked and bought for 2.5."""
    shop = OutcomeShop(MemoryStore())
    answers = [("answer", ("ann", ["lamp", "mug"], scenario, 0)) for scenario in ("home", "home", "")]
    events = [("event", ("ann", "mug", kind, 0, 0)) for kind in ("click", "purchase")]
    shop.apply([*answers, ("flush", None), *events])
    return shop


def report(
    shop: OutcomeShop, by: Grouping, impressions: ImpressionSource = "answers", per: Unit = "answer"
) -> OutcomeReport:
    day = shop.answers[0].answer.time_ms // DAY_MS
    with shop.store.read() as read:
        return outcome_report(read, by=by, since_day=day, until_day=day, impressions=impressions, num_listed=8, per=per)


def test_scenarios_and_their_total() -> None:
    result = report(a_shop(), "scenario")
    rows = [(row.group, row.answers, row.impressions, row.clicks, row.conversions, row.revenue) for row in result.rows]
    assert rows == [("", 1, 2, 0, 0, 0.0), ("home", 2, 4, 1, 1, 2.5)]
    total = result.total
    assert (total.impressions, total.num_items, total.coverage) == (6, 2, 0.25)
    home = result.rows[1]
    assert home.ctr is not None
    assert (home.ctr.value, home.num_items, home.new_share) == (0.25, 2, 0.0)


def test_revenue_has_an_interval_once_enough_was_bought() -> None:
    shop = OutcomeShop(MemoryStore())
    shop.apply([("answer", ("ann", ["lamp", "mug"], "home", 0)) for _ in range(80)])
    shop.flush()
    shop.apply([("event", ("ann", item, "purchase", 0, number)) for number in range(40) for item in ("lamp", "mug")])
    for row in (report(shop, "scenario").rows[0], report(shop, "day").total):
        assert (row.answers, row.revenue) == (80, 200.0)
        assert row.revenue_per_answer is not None, "40 answers with a revenue of 5 each"
        assert (row.revenue_per_answer.value, row.revenue_per_answer.low < 2.5) == (2.5, True)
    assert {row.revenue_per_answer for row in report(shop, "position").rows} == {None}


def test_revenue_per_user_is_wider_where_users_return() -> None:
    shop = OutcomeShop(MemoryStore())
    users = [f"user-{number % 40}" for number in range(120)]
    shop.apply([("answer", (user, ["lamp", "mug"], "home", 0)) for user in users])
    shop.flush()
    shop.apply([("event", (users[number], "lamp", "purchase", 0, number)) for number in range(120) if number % 40 < 32])
    result = report(shop, "scenario", per="user")
    for row in (result.rows[0], result.total):
        assert (row.answers, row.users) == (120, 40)
        assert row.revenue_per_answer is not None
        assert row.revenue_per_user is not None
        assert row.revenue_per_user.value == pytest.approx(3 * row.revenue_per_answer.value)
        width = row.revenue_per_user.high - row.revenue_per_user.low
        assert width > 1.5 * 3 * (row.revenue_per_answer.high - row.revenue_per_answer.low)
    by_day = report(shop, "day", per="user")
    assert (by_day.rows[0].users, by_day.total.users) == (None, 40)
    assert report(shop, "scenario").total.users is None, "not asked for"


def test_positions_have_no_answers() -> None:
    rows = report(a_shop(), "position").rows
    assert [(row.group, row.answers, row.impressions, row.clicks) for row in rows] == [(1, None, 3, 0), (2, None, 3, 1)]


def test_impressions_of_clients_are_items_with_an_event() -> None:
    total = report(a_shop(), "model", "client").total
    assert (total.answers, total.impressions, total.clicks) == (3, 1, 1)
    assert total.ctr is not None
    assert total.ctr.value == 1.0


def test_a_day_without_answers_has_no_rates() -> None:
    total = report(OutcomeShop(MemoryStore(), answers=a_shop().answers), "day").total
    assert (total.answers, total.ctr, total.novelty) == (0, None, None)
