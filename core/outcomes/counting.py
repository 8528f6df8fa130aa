"""Counts of answers and outcomes: pure functions of what is stored, so that `rebuild` and corrections agree.

An item of an answer has at most one impression, one click and one conversion, so that rates are shares of what was
shown. Every count belongs to the day of the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from core.clock import DAY_MS
from core.events.interactions import MAX_VALUE
from core.records.outcomes import MAX_POSITION, CountKey, Counts, Measure, Outcome, StoredAnswer

NOTHING = (0, 0.0)
IMPRESSION = (Measure.IMPRESSION,)


def outcome_counts(outcomes: Sequence[Outcome], *, before: Sequence[Outcome] = ()) -> Counts:
    """What `outcomes` add to the counts of the outcomes `before` them; both of some answers, which they cover."""
    counted = {(known.answer_key, known.position, measure) for known in before for measure in _proven(known)}
    counts: dict[CountKey, tuple[int, float]] = {}
    for outcome in outcomes:
        day, position = outcome.answered_ms // DAY_MS, min(outcome.position, MAX_POSITION)
        for measure in _proven(outcome):
            name = (outcome.answer_key, outcome.position, measure)
            value = _value(outcome) if measure == Measure.CONVERSION else 0.0
            if name not in counted or value:
                _add(counts, CountKey(day, outcome.origin_key, position, measure), int(name not in counted), value)
                counted.add(name)
    _add_revenue(counts, outcomes, before)
    return counts


def _add_revenue(counts: dict[CountKey, tuple[int, float]], new: Sequence[Outcome], before: Sequence[Outcome]) -> None:
    """Add the answers with purchases of a value, and the squares of their revenues less those `before`."""
    sold = [outcome for outcome in new if _is_sale(outcome)]
    answer_keys = {outcome.answer_key for outcome in sold}
    revenues: dict[bytes, float] = {}
    for outcome in before:
        if outcome.answer_key in answer_keys and _is_sale(outcome):
            revenues[outcome.answer_key] = revenues.get(outcome.answer_key, 0.0) + _value(outcome)
    for outcome in sold:
        old = revenues.get(outcome.answer_key)
        revenues[outcome.answer_key] = revenue = (old or 0.0) + _value(outcome)
        key = CountKey(outcome.answered_ms // DAY_MS, outcome.origin_key, 0, Measure.REVENUE)
        _add(counts, key, int(old is None), revenue * revenue - (old or 0.0) ** 2)


def _value(outcome: Outcome) -> float:
    """Within what an event may have now: a version before .2 stored any number, whose square may be none."""
    return max(-MAX_VALUE, min(MAX_VALUE, outcome.value or 0.0))


def _is_sale(outcome: Outcome) -> bool:
    return outcome.measure == Measure.CONVERSION and bool(outcome.value)


def _proven(outcome: Outcome) -> tuple[int, ...]:
    """What it counts as: whatever happened to an item, it was shown."""
    return IMPRESSION if outcome.measure == Measure.IMPRESSION else (Measure.IMPRESSION, outcome.measure)


def answer_counts(answers: Sequence[StoredAnswer]) -> Counts:
    """The counts of answers and of the items that they showed."""
    counts: dict[CountKey, tuple[int, float]] = {}
    for day, origin_key, group in by_day_and_origin(answers):
        novelty = sum([answer.novelty for answer in group])
        _add(counts, CountKey(day, origin_key, 0, Measure.ANSWER), len(group), novelty)
        num_new = sum([answer.num_new for answer in group])
        if num_new:
            _add(counts, CountKey(day, origin_key, 0, Measure.NEW), num_new)
        for length, num in Counter([len(answer.item_keys) for answer in group]).items():
            for index in range(length):
                _add(counts, CountKey(day, origin_key, min(index + 1, MAX_POSITION), Measure.SHOWN), num)
    return counts


def by_day_and_origin(answers: Iterable[StoredAnswer]) -> list[tuple[int, int, list[StoredAnswer]]]:
    """Answers by their day and origin key."""
    groups: dict[tuple[int, int], list[StoredAnswer]] = {}
    for answer in answers:
        groups.setdefault((answer.time_ms // DAY_MS, answer.origin_key), []).append(answer)
    return [(day, origin_key, group) for (day, origin_key), group in groups.items()]


def items_shown(answers: Iterable[StoredAnswer]) -> set[tuple[int, int, int]]:
    """The (day, origin key, item key) of the items that answers showed."""
    return {
        (day, origin_key, item_key)
        for day, origin_key, group in by_day_and_origin(answers)
        for item_key in set().union(*[answer.item_keys for answer in group])
    }


def difference(after: Counts, before: Counts) -> Counts:
    """What has to be added to `before` to get `after`."""
    changes = {}
    for key in after.keys() | before.keys():
        (num, value), (old_num, old_value) = after.get(key, NOTHING), before.get(key, NOTHING)
        if (num, value) != (old_num, old_value):
            changes[key] = (num - old_num, value - old_value)
    return changes


def _add(counts: dict[CountKey, tuple[int, float]], key: CountKey, num: int, value: float = 0.0) -> None:
    old_num, old_value = counts.get(key, NOTHING)
    counts[key] = (old_num + num, old_value + value)
