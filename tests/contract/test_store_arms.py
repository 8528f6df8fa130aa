"""Sums over the users of arms on every store: by hand, and equal to a recount of users' totals."""

from __future__ import annotations

from dataclasses import astuple
from random import Random

import numpy as np
import pytest

from core.clock import DAY_MS
from core.experiments.experiment import Arm, Experiment
from core.experiments.results import results_of
from core.ports.store import Store
from core.records.outcomes import Measure, Origin, Outcome, StoredAnswer, first_key_at

DAY = 20_000
MORNING_MS = DAY * DAY_MS
ARMS = ("x/a", "x/b")
TESTED = Experiment("x", (Arm("a", 0.5), Arm("b", 0.5)))
Shown = tuple[str | None, str, int, int]  # user, arm, day, items


def stored(store: Store, shown: list[Shown], events: list[tuple[int, int, Measure, float | None]]) -> None:
    """Store answers, and events as (answer, position, measure, value)."""
    with store.transaction() as tx:
        origins = tx.answers.name_origins(
            sorted({Origin("home", arm, version) for _, arm, *_ in shown for version in "12"})
        )
        answers = []
        for number, (user_id, arm, day, num_items) in enumerate(shown):
            time_ms = (DAY + day) * DAY_MS + number
            key = first_key_at(time_ms)[:-4] + number.to_bytes(4, "big")
            origin_key = origins[Origin("home", arm, "12"[number % 2])]
            answers.append(StoredAnswer(key, user_id, time_ms, origin_key, tuple(range(1, num_items + 1))))
        tx.answers.add(answers)
        rows = []
        for number, (of, position, measure, value) in enumerate(events):
            answer, key = answers[of], number.to_bytes(16, "big")
            rows.append(Outcome(answer.key, position, measure, key, answer.origin_key, answer.time_ms, 1.0, value))
        tx.outcomes.add(sorted(rows))
        tx.commit()


def test_users_are_one_each_however_often_they_return(store: Store) -> None:
    stored(
        store,
        [("ann", "x/a", 0, 3), ("ann", "x/a", 1, 3), ("bob", "x/a", 1, 2), (None, "x/a", 1, 9), ("cid", "y/a", 1, 9)],
        [
            (0, 1, Measure.CLICK, None),
            (0, 1, Measure.CLICK, None),  # an item counts once
            (1, 2, Measure.CLICK, None),
            (1, 2, Measure.CONVERSION, 10.0),
            (1, 2, Measure.CONVERSION, 5.0),
        ],
    )
    with store.read() as read:
        days = read.arms.days(ARMS, since_ms=MORNING_MS, until_ms=MORNING_MS + 9 * DAY_MS)
        proven = read.arms.days(ARMS, since_ms=MORNING_MS, until_ms=MORNING_MS + 9 * DAY_MS, proven_impressions=True)
        first = read.arms.days(ARMS, since_ms=MORNING_MS, until_ms=MORNING_MS + DAY_MS)
        assert read.arms.days(ARMS, since_ms=0, until_ms=MORNING_MS) == []
    assert [(each.arm, each.day, each.added.answers) for each in days] == [("x/a", DAY, 1), ("x/a", DAY + 1, 2)]
    assert first == days[:1]
    control = results_of(TESTED, days).arms[0].sums
    # Ann: 2 clicks of 6 items, 1 conversion of 15. Bob: nothing of 2 items.
    assert astuple(control.clicks) == (2, 2, 8, 4, 40, 12, 1)
    assert astuple(control.conversions) == (2, 1, 2, 1, 2, 1, 1)
    assert astuple(control.revenue) == (2, 15, 2, 225, 2, 15, 1)
    assert results_of(TESTED, proven).arms[0].sums.clicks.base == 2


@pytest.mark.parametrize("proven_impressions", [False, True])
def test_days_add_up_to_the_sums_of_users_totals(store: Store, proven_impressions: bool) -> None:
    draw = Random(proven_impressions)
    shown: list[Shown] = [
        (draw.choice([None, "ann", "bob", "cid"]), draw.choice(ARMS), draw.randint(0, 4), draw.randint(1, 5))
        for _ in range(60)
    ]
    kinds = [(Measure.IMPRESSION, None), (Measure.CLICK, None), (Measure.CONVERSION, 2.5)]
    events = [(of, draw.randint(1, shown[of][3]), *draw.choice(kinds)) for of in draw.choices(range(60), k=80)]
    stored(store, shown, events)
    with store.read() as read:
        days = read.arms.days(
            ARMS, since_ms=MORNING_MS, until_ms=MORNING_MS + 9 * DAY_MS, proven_impressions=proven_impressions
        )
    for arm, result in zip(ARMS, results_of(TESTED, days).arms, strict=True):
        users = sorted({user for user, label, *_ in shown if label == arm and user})
        totals = np.zeros((3, len(users)))
        for number, (user, label, _, num_items) in enumerate(shown):
            if label == arm and user:
                mine = [(position, measure) for of, position, measure, _ in events if of == number]
                clicks = len({position for position, measure in mine if measure == Measure.CLICK})
                bought = sum(2.5 for _, measure in mine if measure == Measure.CONVERSION)
                impressions = len({position for position, _ in mine}) if proven_impressions else num_items
                totals[:, users.index(user)] += clicks, impressions, bought
        y, x, paid = totals
        assert astuple(result.sums.clicks) == pytest.approx(
            (len(users), y.sum(), x.sum(), y @ y, x @ x, x @ y, (y > 0).sum())
        )
        assert astuple(result.sums.revenue)[3] == pytest.approx(paid @ paid)


def test_the_revenue_of_users_by_what_answered_them(store: Store) -> None:
    stored(
        store,
        [("ann", "x/a", 0, 3), ("ann", "x/b", 1, 3), ("ann", "x/a", 1, 3), ("bob", "x/a", 1, 2), (None, "x/a", 1, 9)],
        [
            (0, 1, Measure.CLICK, None),
            (0, 1, Measure.CONVERSION, 10.0),
            (1, 2, Measure.CONVERSION, 4.0),
            (2, 2, Measure.CONVERSION, 5.0),
            (2, 3, Measure.CONVERSION, None),  # without a price
            (4, 3, Measure.CONVERSION, 99.0),  # of an anonymous session
        ],
    )
    days = {"since_ms": MORNING_MS, "until_ms": MORNING_MS + 2 * DAY_MS}
    with store.read() as read:
        by_arm = read.arms.revenue_by_user("arm", **days)
        in_all = read.arms.revenue_by_user(None, **days)
        first = read.arms.revenue_by_user("scenario", since_ms=MORNING_MS, until_ms=MORNING_MS + DAY_MS)
        assert read.arms.revenue_by_user("model_version", since_ms=0, until_ms=MORNING_MS) == {}
    assert {arm: astuple(sums) for arm, sums in by_arm.items()} == {
        "x/a": (2, 15.0, 2, 225.0, 2, 15.0, 1),
        "x/b": (1, 4.0, 1, 16.0, 1, 4.0, 1),
    }
    assert (astuple(in_all[""]), astuple(first["home"])) == (
        (2, 19.0, 2, 361.0, 2, 19.0, 1),
        (1, 10.0, 1, 100.0, 1, 10.0, 1),
    )
