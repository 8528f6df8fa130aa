"""A replay has, at each moment, the counts of the events before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events.history import History
from core.records.stored import EventColumns
from core.transitions import replay
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.replay import TransitionReplay, transition_rows
from core.transitions.transition import Transition, TransitionChanges, of_history

RULES = CountRules((1.0, 0.5, 0.25), half_life_weeks=1e9)  # sums of binary fractions are exact
some_events = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50), st.integers(1, 5)), max_size=25)


def columns_of(events: list[tuple[int, int, int]]) -> EventColumns:
    ordered = sorted(events, key=lambda event: event[:2])
    return EventColumns(*np.array(ordered, np.int64).reshape(-1, 3)[:, [0, 2, 1]].T)


def by_hand(columns: EventColumns) -> list[Transition]:
    rows: list[Transition] = []
    for user in np.unique(columns.users):
        own = columns.where(columns.users == user)
        rows += of_history(History(own.items, own.times_ms))
    return rows


@given(some_events)
def test_rows_of_a_log_are_those_of_its_histories(events: list[tuple[int, int, int]]) -> None:
    columns = columns_of(events)
    assert [Transition(*row) for row in transition_rows(columns, np.arange(len(columns))).tolist()] == by_hand(columns)


@given(some_events, st.integers(0, 50))
def test_counts_before_a_time_are_those_of_the_events_before_it(
    events: list[tuple[int, int, int]], time_ms: int
) -> None:
    columns = columns_of(events)
    counting = TransitionReplay(columns, RULES)
    num_before = int(np.count_nonzero(columns.times_ms < time_ms))
    for place in (num_before // 2, num_before):
        counts = counting.advance(place)
    expected = TransitionCounts(RULES)
    rows = np.array(by_hand(columns.where(columns.times_ms < time_ms)), np.int64).reshape(-1, 6)
    expected.apply(TransitionChanges(rows, {}, restarted=True))
    for item in range(1, 6):
        for found, wanted in ((counts.after, expected.after), (counts.before, expected.before)):
            assert found(item).keys.tolist() == wanted(item).keys.tolist()
            assert found(item).counts.tolist() == wanted(item).counts.tolist()


def test_the_place_of_an_event_is_the_number_of_events_before_it() -> None:
    counting = TransitionReplay(columns_of([(1, 5, 1), (1, 9, 2), (2, 5, 3), (2, 7, 4)]), RULES)
    assert counting.places.tolist() == [0, 3, 1, 2]


def test_old_events_are_context_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_EVENTS", 1)
    counts = TransitionReplay(columns_of([(1, 5, 1), (1, 9, 2)]), RULES).advance(2)
    assert counts.num_events(np.array([1, 2])).tolist() == [0, 1]
    assert counts.after(1).keys.tolist() == [2]


def test_pieces_of_any_size_give_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "EVENTS_AT_ONCE", 2)
    counts = TransitionReplay(columns_of([(1, time, 1 + time % 3) for time in range(7)]), RULES).advance(7)
    assert counts.num_events(np.array([1, 2, 3])).tolist() == [3, 2, 2]
