"""Successor counts: summed by the rules, kept current by changes, equal to a count from scratch."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.transitions.successors import CountRules, SuccessorCounts
from core.transitions.transition import Transition, TransitionChanges, taken_back

RULES = CountRules(distances=(1.0, 0.5, 0.25), backward=0.1, half_life_weeks=2.0, max_successors=3)
some_transitions = st.lists(
    st.builds(
        Transition,
        st.integers(1, 6),
        st.integers(100, 108),
        st.just(1),
        st.integers(0, 6),
        st.integers(0, 6),
        st.integers(0, 6),
    ),
    max_size=20,
)


def changes(transitions: list[Transition], *, restarted: bool = False, key: int = 1) -> TransitionChanges:
    rows = np.array(transitions, np.int64).reshape(-1, len(Transition._fields))
    return TransitionChanges(rows, {1: key}, restarted)


def counts_of(counts: SuccessorCounts, item: int) -> dict[int, float]:
    successors = counts.after(item)
    return dict(zip(successors.keys.tolist(), successors.counts.tolist(), strict=True))


def by_hand(transitions: list[Transition], rules: CountRules) -> dict[int, dict[int, float]]:
    newest = max((transition.week for transition in transitions), default=0)
    pairs: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for item, week, count, *previous in transitions:
        for earlier, weight in zip(previous, rules.distances, strict=True):
            if earlier not in (0, item):
                worth = count * weight * 0.5 ** ((newest - week) / rules.half_life_weeks)
                pairs[earlier][item] += worth
                pairs[item][earlier] += rules.backward * worth
    return pairs


def test_a_pair_counts_by_distance_direction_and_age() -> None:
    counts = SuccessorCounts(RULES)
    counts.apply(changes([Transition(4, 100, 1, 3, 2, 1), Transition(4, 102, 1, 3, 0, 0)], restarted=True))
    assert counts_of(counts, 3) == pytest.approx({4: 0.5 + 1.0})  # two weeks are a half-life
    assert counts_of(counts, 2) == pytest.approx({4: 0.25})
    assert counts_of(counts, 1) == pytest.approx({4: 0.125})
    assert counts_of(counts, 4) == pytest.approx({3: 0.15, 2: 0.025, 1: 0.0125})
    assert counts_of(counts, 9) == {}


def test_an_item_does_not_follow_itself() -> None:
    counts = SuccessorCounts(RULES)
    counts.apply(changes([Transition(4, 100, 1, 4, 2, 4)], restarted=True))
    assert counts_of(counts, 4) == pytest.approx({2: 0.05})


def test_only_the_strongest_successors_are_used_and_all_are_in_the_total() -> None:
    counts = SuccessorCounts(RULES)
    transitions = [Transition(item, 100, 1, 1, 0, 0) for item in (2, 3, 4, 5) for _ in range(item)]
    counts.apply(changes(transitions, restarted=True))
    assert counts_of(counts, 1) == pytest.approx({3: 3.0, 4: 4.0, 5: 5.0})
    assert counts.after(1).total == pytest.approx(14.0)


def test_the_log_from_its_start_replaces_what_was_counted() -> None:
    counts = SuccessorCounts(RULES)
    counts.apply(changes([Transition(2, 100, 1, 1, 0, 0)], restarted=True))
    counts.apply(changes([Transition(3, 100, 1, 1, 0, 0)], restarted=True, key=7))
    assert counts_of(counts, 1) == pytest.approx({3: 1.0})
    assert counts.position == {1: 7}


def test_what_is_taken_back_is_no_successor_any_more() -> None:
    counts = SuccessorCounts(RULES)
    transitions = [Transition(2, 100, 1, 1, 0, 0), Transition(3, 104, 1, 2, 1, 0)]
    counts.apply(changes(transitions, restarted=True))
    counts.apply(changes(taken_back(transitions[1:])))
    assert counts_of(counts, 2) == pytest.approx({1: 0.1 * 0.25})
    assert counts_of(counts, 3) == {}


@given(st.lists(some_transitions, min_size=1, max_size=6), st.data())
def test_changes_in_any_pieces_equal_a_count_from_scratch(pieces: list[list[Transition]], data: st.DataObject) -> None:
    rules = CountRules((1.0, 0.5, 0.25), backward=0.1, half_life_weeks=2.0, max_successors=100)
    counts, known = SuccessorCounts(rules), list[Transition]()
    for number, piece in enumerate(pieces):
        num_back = data.draw(st.integers(0, len(known)))
        counts.apply(changes([*piece, *taken_back(known[:num_back])], restarted=number == 0, key=number))
        known = [*known[num_back:], *piece]
    newest = max((t.week for piece in pieces for t in piece), default=0)
    marker = Transition(99, newest, 1, 0, 0, 0)  # the newest week counts though its transitions were taken back
    expected = by_hand([*known, marker], rules)
    for item in range(1, 7):
        wanted = {key: value for key, value in expected[item].items() if value > 1e-5}
        found = {key: value for key, value in counts_of(counts, item).items() if value > 1e-5}
        assert found == pytest.approx(wanted, rel=1e-4)
