"""Transitions: the previous items of each event, and what a late event changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.events.history import EMPTY_HISTORY, History
from core.transitions.transition import WEEK_MS, Transition, appended, inserted, of_history, taken_back


def history(*events: tuple[int, int]) -> History:
    return History(np.array([item for item, _ in events], np.int64), np.array([time for _, time in events], np.int64))


def totals(transitions: list[Transition]) -> dict[tuple[int, ...], int]:
    """The counts of equal transitions, without those that cancel."""
    counts: Counter[tuple[int, ...]] = Counter()
    for transition in transitions:
        counts[transition.item_key, transition.week, *transition[3:]] += transition.sign
    return {transition: count for transition, count in counts.items() if count}


def test_an_event_is_noted_with_the_three_items_before_it() -> None:
    assert of_history(history((5, 0), (6, 1), (7, WEEK_MS), (8, 2 * WEEK_MS), (9, 2 * WEEK_MS))) == [
        Transition(5, 0, 1, 0, 0, 0),
        Transition(6, 0, 1, 5, 0, 0),
        Transition(7, 1, 1, 6, 5, 0),
        Transition(8, 2, 1, 7, 6, 5),
        Transition(9, 2, 1, 8, 7, 6),
    ]


def test_an_appended_event_follows_the_newest_known_items() -> None:
    assert appended([1, 2, 3, 4], [(5, 0), (6, 0)]) == [Transition(5, 0, 1, 4, 3, 2), Transition(6, 0, 1, 5, 4, 3)]
    assert appended([], [(5, 0)]) == [Transition(5, 0, 1, 0, 0, 0)]
    assert of_history(EMPTY_HISTORY) == []


def test_a_late_event_changes_only_its_neighbours() -> None:
    whole = history(*((item, item) for item in range(1, 9)))  # item 3 came last
    without_3 = {(4, 0, 2, 1, 0), (5, 0, 4, 2, 1), (6, 0, 5, 4, 2)}
    with_3 = {(3, 0, 2, 1, 0), (4, 0, 3, 2, 1), (5, 0, 4, 3, 2), (6, 0, 5, 4, 3)}
    expected = dict.fromkeys(without_3, -1) | dict.fromkeys(with_3, 1)
    assert totals(inserted(whole, np.array([3]))) == expected
    assert len(inserted(whole, np.array([3]))) == len(expected)


def test_what_is_taken_back_cancels() -> None:
    transitions = of_history(history((1, 0), (2, 1), (1, 2)))
    assert totals([*transitions, *taken_back(transitions)]) == {}


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), max_size=12), st.data())
def test_any_order_of_arrival_gives_the_transitions_of_the_history(
    events: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Events are (item, time); of equal times the one that arrived first comes first."""
    num_first = data.draw(st.integers(0, len(events)))
    known = sorted(events[:num_first], key=lambda event: event[1])
    late = sorted(events[num_first:], key=lambda event: event[1])
    whole = sorted([*known, *late], key=lambda event: event[1])
    changes = inserted(history(*whole), np.array([time for _, time in late], np.int64))
    assert totals([*of_history(history(*known)), *changes]) == totals(of_history(history(*whole)))
