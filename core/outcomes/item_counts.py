"""Counts by item and day: pure functions of events, answers and outcomes, so that `rebuild` and corrections agree.

An item of an answer has at most one impression, one click and one conversion, as in `core.outcomes.counting`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from core.arrays import occurrences
from core.clock import DAY_MS
from core.outcomes.counting import by_day_and_origin
from core.records.item_counts import FIRST_TYPE, ItemCountKey, ItemCounts, measure_of_type
from core.records.outcomes import Measure, Outcome, StoredAnswer
from core.records.stored import MANY_EVENTS, EventRow, event_column

Places = Mapping[tuple[bytes, int], int]  # item key by answer key and position


def item_event_counts(rows: Sequence[EventRow]) -> Counter[ItemCountKey]:
    """The numbers of events by type."""
    if len(rows) >= MANY_EVENTS:
        measures, days = event_column(rows, "type_code") + FIRST_TYPE, event_column(rows, "time_ms") // DAY_MS
        keys = occurrences(measures, days, event_column(rows, "item_key"))
        return Counter({ItemCountKey(*key): num for key, num in keys})
    counted = Counter([(row.type_code, row.time_ms // DAY_MS, row.item_key) for row in rows])
    return Counter({ItemCountKey(measure_of_type(code), day, key): num for (code, day, key), num in counted.items()})


def item_answer_counts(answers: Iterable[StoredAnswer]) -> Counter[ItemCountKey]:
    """How often items were shown."""
    counts: Counter[ItemCountKey] = Counter()
    for day, _, group in by_day_and_origin(answers):
        shown = Counter(chain.from_iterable([answer.item_keys for answer in group]))
        counts.update({ItemCountKey(Measure.SHOWN, day, item_key): num for item_key, num in shown.items()})
    return counts


def item_outcome_counts(
    outcomes: Iterable[Outcome], places: Places, *, before: Iterable[Outcome] = ()
) -> Counter[ItemCountKey]:
    """What outcomes add to the counts of those `before` them, both of some answers; only at these places."""
    known, counted = _proven(before), _proven(outcomes)
    return Counter(
        ItemCountKey(measure, day, places[answer_key, position])
        for (answer_key, position, measure), day in counted.items()
        if (answer_key, position) in places and (answer_key, position, measure) not in known
    )


def _proven(outcomes: Iterable[Outcome]) -> dict[tuple[bytes, int, int], int]:
    """The day of each (answer key, position, measure) that outcomes prove: what was clicked or bought was shown too."""
    return {
        (outcome.answer_key, outcome.position, measure): outcome.answered_ms // DAY_MS
        for outcome in outcomes
        for measure in (Measure.IMPRESSION, outcome.measure)
    }


def places_of(outcomes: Iterable[Outcome], rows: Mapping[bytes, EventRow]) -> Places:
    """Where the items of events stood. `rows`: events by key."""
    return {
        (outcome.answer_key, outcome.position): rows[outcome.event_key].item_key
        for outcome in outcomes
        if outcome.event_key in rows
    }


def changed(after: ItemCounts, before: ItemCounts) -> ItemCounts:
    """What has to be added to `before` to get `after`."""
    changes = {key: after.get(key, 0) - before.get(key, 0) for key in after.keys() | before.keys()}
    return {key: num for key, num in changes.items() if num}
