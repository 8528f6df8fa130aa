"""Compares stored answers, what became of them and the experiment's results with what clients were told.

An answer may be lost where a process was killed within a second of it, together with all that counts of it; then its
events belong to no answer.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

from benchmarks.faults.clients.promises import Promises
from core.experiments.report import read_results
from core.records.arms import ArmSums
from tidewise.bootstrap import open_system
from tidewise.settings.schema import Settings

Query = Callable[[LiteralString], Iterable[Any]]  # the rows of a statement, as of `execute` of a connection
Span = tuple[float, float]  # two times of `time.monotonic`

ANSWERS: LiteralString = """SELECT answers.key, user_id, arm, item_keys FROM answers
                            JOIN answer_origins ON answer_origins.key = origin_key"""
COUNTS: LiteralString = """SELECT arm, SUM(CASE measure WHEN 4 THEN num ELSE 0 END),
                           SUM(CASE measure WHEN 3 THEN num ELSE 0 END)
                           FROM outcome_counts JOIN answer_origins ON answer_origins.key = origin_key GROUP BY arm"""
OF_ITEMS: LiteralString = """SELECT outcomes.answer_key, outcomes.position, outcomes.measure, outcomes.value,
                             users.user_id, items.item_id FROM outcomes
                             JOIN interactions ON interactions.event_key = outcomes.event_key
                             JOIN users ON users.key = user_key JOIN items ON items.key = item_key"""
ITEM_IDS: LiteralString = "SELECT key, item_id FROM items"
CLICK, CONVERSION = 1, 2
LOST_S = 1.5  # before a kill: an answer is written at most a second later


class StoredList(NamedTuple):
    """An answer as stored. `arm`: as "experiment/arm"."""

    user_id: str | None
    arm: str
    item_ids: tuple[str, ...]


def stored_lists(query: Query) -> dict[str, StoredList]:
    """All stored answers by recommendation id."""
    item_ids = dict(query(ITEM_IDS))
    return {
        bytes(key).hex(): StoredList(user_id, arm, tuple(item_ids[item] for (item,) in struct.iter_unpack("<I", items)))
        for key, user_id, arm, items in query(ANSWERS)
    }


def answer_violations(query: Query, told: Promises, *, faults: Sequence[Span]) -> dict[str, int]:
    """The number of violations of each promise about answers. `faults`: from the start of each until all ran again."""
    stored = stored_lists(query)
    wanted = {
        name: StoredList(told.owner(answer.user_id), answer.arm, answer.item_ids)
        for name, answer in told.shown.items()
        if answer.user_id not in told.erased
    }
    lost = [told.shown[name].at_s for name in wanted.keys() - stored.keys()]
    counts = {arm: (int(num), int(shown)) for arm, num, shown in query(COUNTS) if num or shown}
    return {
        "answers lost without a kill": sum(
            not any(begin_s - LOST_S <= at_s <= end_s for begin_s, end_s in faults) for at_s in lost
        ),
        "changed answers": sum(stored[name] != wanted[name] for name in wanted.keys() & stored.keys()),
        "answers of erased users": sum(answer.user_id in told.erased for answer in stored.values()),
        "wrong counts of answers": len(counts.items() ^ _counts(stored).items()),
        "outcomes of items that were not shown": sum(
            item_id not in stored[bytes(key).hex()].item_ids[position - 1 : position]
            for key, position, *_, item_id in query(OF_ITEMS)
            if bytes(key).hex() in stored
        ),
    }


def _counts(stored: Mapping[str, StoredList]) -> dict[str, tuple[int, int]]:
    """By arm the numbers of answers and of items shown."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for answer in stored.values():
        counts[answer.arm].update(answers=1, shown=len(answer.item_ids))
    return {arm: (num["answers"], num["shown"]) for arm, num in counts.items()}


def result_violations(query: Query, settings: Settings, *, experiment: str) -> dict[str, int]:
    """How many arms of an experiment have other results than stored answers and outcomes add up to."""
    with open_system(settings) as system:
        system.experiments.follow()
        defined = system.experiments.all()[experiment].parsed
        results = read_results(system.store, defined, proven_impressions=False)
    expected = expected_results(query)
    wrong = sum(
        _figures(arm.sums) != expected.get(f"{experiment}/{arm.name}", (0,) * len(_figures(arm.sums)))
        for arm in results.arms
    )
    return {"arms with wrong results": wrong}


def expected_results(query: Query) -> dict[str, tuple[float, ...]]:
    """By arm: users, answers, items shown, clicked, bought; the revenue, and the squares of users' clicks."""
    stored = stored_lists(query)
    clicked, bought = set[tuple[str, int]](), set[tuple[str, int]]()
    revenue: Counter[str] = Counter()
    for key, position, measure, value, *_ in query(OF_ITEMS):
        name = bytes(key).hex()
        if measure == CLICK:
            clicked.add((name, position))
        elif measure == CONVERSION:
            bought.add((name, position))
            revenue[name] += value or 0
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    clicks_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, answer in stored.items():
        if answer.user_id is None:
            continue
        positions = [(name, place) for place in range(1, len(answer.item_ids) + 1)]
        num_clicked = sum(place in clicked for place in positions)
        clicks_of[answer.arm][answer.user_id] += num_clicked
        sums[answer.arm].update(
            answers=1,
            shown=len(positions),
            clicked=num_clicked,
            bought=sum(place in bought for place in positions),
            revenue=revenue[name],
        )
    return {
        arm: (
            len(clicks_of[arm]),
            *(own[name] for name in ("answers", "shown", "clicked", "bought", "revenue")),
            sum(num * num for num in clicks_of[arm].values()),
        )
        for arm, own in sums.items()
    }


def _figures(sums: ArmSums) -> tuple[float, ...]:
    clicks = sums.clicks
    counted = (clicks.users, sums.answers, clicks.base, clicks.value, sums.conversions.value, sums.revenue.value)
    return (*counted, clicks.value_squares)
