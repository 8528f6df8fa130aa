"""Verify: computes derived state anew from the stored events and compares it with the stored one, changing nothing.

Everything is read in one snapshot, so writers may go on. What drift monitoring counts is not compared: it depends on
the topics that items had when their events came.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal, get_args

import numpy as np

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from core.events.history import EMPTY_WINDOW, Window
from core.ingestion.derivation import Derivation, event_counts
from core.ingestion.rebuild import outcome_pages, user_groups
from core.outcomes.counting import NOTHING, outcome_counts
from core.outcomes.item_counts import item_event_counts
from core.popularity import add_log2
from core.ports.item_counts import ItemDimension
from core.ports.outcomes import Dimension
from core.ports.store import ReadTransaction
from core.records.drift import BUCKET_MS
from core.records.item_counts import FIRST_TYPE, ItemCountKey
from core.records.outcomes import OF_EVENTS, Measure
from core.records.stored import EventRow
from core.transitions.sums import TransitionSums
from core.transitions.transition import of_history

Part = Literal[
    "window", "sequence", "popularity", "transitions", "event count", "outcome count", "item count", "attributes"
]
PARTS: tuple[Part, ...] = get_args(Part)
MAX_EXAMPLES = 20
# Beside what an undone event has counted, a double holds 40 half-lives; 10 are left for weights and numbers of events.
VANISHING_HALF_LIVES = 30
LOG2_TOLERANCE = 1e-3  # of popularity: rounding in another order of summation, and of what corrections subtracted
PAGE_USERS = 10_000
LAST_DAY = 10**6
SQUARES_ROUNDING = 1e-3  # of squares of revenues that were all taken back: below those of revenues of .03


@dataclass(frozen=True, slots=True)
class Difference:
    """Where stored state differs. `name`: the user, item, or bucket and event type; both values as text."""

    part: Part
    name: str
    stored: str
    expected: str


@dataclass(slots=True)
class Verification:
    """The result: how many events and users were read, how many entries of each part differ, and the first of them."""

    num_events: int = 0
    num_users: int = 0
    different: Counter[Part] = field(default_factory=Counter)
    examples: list[Difference] = field(default_factory=list)

    def compare(self, part: Part, name: str, stored: object, expected: object) -> None:
        """Count the values as different if they are, and keep them if they are among the first."""
        if stored == expected:
            return
        self.different[part] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(Difference(part, name, str(stored), str(expected)))

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the command line."""
        different = {part: self.different[part] for part in PARTS}
        examples = [asdict(difference) for difference in self.examples]
        return {"events": self.num_events, "users": self.num_users, "different": different, "examples": examples}


def verify(read: ReadTransaction, derivation: Derivation, *, progress: Callable[[int], None]) -> Verification:
    """Compare windows, sequences, popularity, transitions, event and outcome counts with what stored events give.

    `progress` is called with the number of events read so far. Memory grows with users, items and the log of
    transitions, not with events.
    """
    result = Verification()
    windows: dict[int, str] = {}
    sequences: dict[int, int] = {}
    popularity: dict[int, float] = {}
    counts: Counter[tuple[int, int]] = Counter()
    transitions = TransitionSums()
    item_counts = _ItemSums()
    for rows in user_groups(read):
        for key, group in groupby(rows, attrgetter("user_key")):
            own = list(group)
            history = derivation.history(own)
            windows[key], sequences[key] = _described(derivation.window(history)), _last_sequence(own)
            transitions.add(np.array(of_history(history), np.int64))
        popularity |= add_log2(popularity, derivation.popularity(rows))
        counts.update(event_counts(rows))
        item_counts.add(item_event_counts(rows))
        result.num_events += len(rows)
        progress(result.num_events)
    _compare_users(read, result, windows, sequences)
    _compare_popularity(read, result, popularity, half_life_ms=derivation.half_life_ms)
    _compare_transitions(read, result, transitions)
    _compare_event_counts(read, result, counts)
    _compare_outcome_counts(read, result, item_counts)
    _compare_item_counts(read, result, item_counts)
    return result


def _last_sequence(rows: Sequence[EventRow]) -> int:
    """The highest sequence number of a user's events; that of the user may be higher, after an undo or an erasure."""
    return max(row.user_seq for row in rows)


def _described(window: Window) -> str:
    """A window as text, which differs where a window differs."""
    content = hash((window.history.items.tobytes(), window.history.times_ms.tobytes())) & 0xFFFFFFFF
    return f"{window.num_events} events, the newest at {window.last_time_ms} ms (hash {content:08x})"


def _compare_users(
    read: ReadTransaction, result: Verification, windows: dict[int, str], sequences: dict[int, int]
) -> None:
    """All stored users, also those without an event; attributes belong to one of them."""
    empty, after = _described(EMPTY_WINDOW), ""
    owners = {key for page in read.user_attributes.pages() for key in page}
    while page := read.users.page(after=after, limit=PAGE_USERS):
        for user_id, state in page:
            result.compare("window", user_id, _described(state.window), windows.get(state.key, empty))
            result.compare("sequence", user_id, state.seq, max(state.seq, sequences.get(state.key, 0)))
        owners.difference_update(state.key for _, state in page)
        result.num_users += len(page)
        after = page[-1][0]
    for key in sorted(owners):
        result.compare("attributes", f"user key {key}", "stored", "no such user")


def _compare_popularity(
    read: ReadTransaction, result: Verification, expected: dict[int, float], *, half_life_ms: float
) -> None:
    """Popularity of long ago may be gone: a correction cannot subtract a recent event without it."""
    vanishing = (read.offsets.newest_event_ms() or 0) / half_life_ms - VANISHING_HALF_LIVES
    item_keys, scores = read.popularity.scores()
    stored = {key: score for key, score in zip(item_keys.tolist(), scores.tolist(), strict=True) if score > -np.inf}
    different = [
        key
        for key in stored.keys() | expected.keys()
        if abs(stored.get(key, -np.inf) - expected.get(key, -np.inf)) > LOG2_TOLERANCE
        and (key in stored or expected[key] > vanishing)
    ]
    _add_items(
        read, result, "popularity", different, lambda key: (f"log2 {stored.get(key)}", f"log2 {expected.get(key)}")
    )


def _compare_transitions(read: ReadTransaction, result: Verification, expected: TransitionSums) -> None:
    stored = TransitionSums()
    stored.add(read.transitions.since({}).rows)
    different = stored.differing_items(expected)
    _add_items(read, result, "transitions", different, lambda key: (stored.describe(key), expected.describe(key)))


def _compare_event_counts(read: ReadTransaction, result: Verification, expected: Counter[tuple[int, int]]) -> None:
    """Of buckets, and their sums by hour and by day, which are stored with them."""
    for step_ms in (BUCKET_MS, HOUR_MS, DAY_MS):
        sums: Counter[tuple[int, int]] = Counter()
        for (bucket_ms, code), num in expected.items():
            sums[bucket_ms - bucket_ms % step_ms, code] += num
        stored = read.event_counts.by_step(step_ms=step_ms)
        for start_ms, code in sorted(stored.keys() | sums.keys()):
            name = f"{step_ms // MINUTE_MS} minutes from {start_ms} ms, type {code}"
            result.compare("event count", name, stored.get((start_ms, code), 0), sums[start_ms, code])


class _ItemSums:
    """Sums of counts by item and by day, each with the measure."""

    def __init__(self) -> None:
        self.sums: dict[ItemDimension, Counter[tuple[int, int]]] = {"item": Counter(), "day": Counter()}

    def add(self, counts: Counter[ItemCountKey]) -> None:
        for (measure, day, item_key), num in counts.items():
            self.sums["item"][item_key, measure] += num
            self.sums["day"][day, measure] += num


def _compare_item_counts(read: ReadTransaction, result: Verification, expected: _ItemSums) -> None:
    measures = sorted({*OF_EVENTS, *(measure for _, measure in expected.sums["day"])})
    for by, sums in expected.sums.items():
        totals = read.item_counts.totals(by, measures=measures, since_day=0, until_day=LAST_DAY)
        stored = {(group, measure): num for group, measure, num in totals.tolist()}
        for group, measure in sorted(stored.keys() | sums.keys()):
            counted = f"type {measure - FIRST_TYPE}" if measure >= FIRST_TYPE else Measure(measure).name.lower()
            name = f"{counted}, {'item key' if by == 'item' else by} {group}"
            result.compare("item count", name, stored.get((group, measure), 0), sums[group, measure])


def _compare_outcome_counts(read: ReadTransaction, result: Verification, item_counts: _ItemSums) -> None:
    """By day, origin and position of the answer: the numbers, and the sums of values but for rounding.

    Adds what outcomes count by item to `item_counts`.
    """
    expected: dict[Dimension, dict[tuple[int, int], tuple[int, float]]] = {by: {} for by in get_args(Dimension)}
    for page, counted in outcome_pages(read):
        item_counts.add(counted)
        for key, (num, value) in outcome_counts(page).items():
            groups: dict[Dimension, int] = {"day": key.day, "origin": key.origin_key, "position": key.position}
            for by, group in groups.items():
                old_num, old_value = expected[by].get((group, key.measure), NOTHING)
                expected[by][group, key.measure] = old_num + num, old_value + value
    for by, sums in expected.items():
        totals = read.outcomes.totals(by, since_day=0, until_day=LAST_DAY)
        stored = {(group, measure): (num, value) for group, measure, num, value in totals if measure in OF_EVENTS}
        for group, measure in sorted(stored.keys() | sums.keys()):
            old, new = stored.get((group, measure), NOTHING), sums.get((group, measure), NOTHING)
            rounding = SQUARES_ROUNDING if measure == Measure.REVENUE else 1e-6
            if old[0] != new[0] or not math.isclose(old[1], new[1], rel_tol=1e-9, abs_tol=rounding):
                result.compare("outcome count", f"{Measure(measure).name.lower()}, {by} {group}", old, new)


def _add_items(
    read: ReadTransaction,
    result: Verification,
    part: Part,
    keys: Sequence[int],
    values: Callable[[int], tuple[str, str]],
) -> None:
    """Count the items with these keys as different, and name the first; one that is not stored has its key for a name.

    `values`: the stored and the expected one of an item.
    """
    if not keys:
        return
    result.different[part] += len(keys)
    first = sorted(keys)[: MAX_EXAMPLES - len(result.examples)]
    items = read.items.by_key(first)
    for key in first:
        name = items[key].item.item_id if key in items else f"item key {key}"
        result.examples.append(Difference(part, name, *values(key)))
