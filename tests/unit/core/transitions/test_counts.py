"""Transition counts: summed by the rules, kept current by changes, equal to a count from scratch."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.neighbours import NeighbourCounts, Pairs
from core.transitions.strongest import Neighbours
from core.transitions.transition import Transition, TransitionChanges, taken_back

RULES = CountRules(distances=(1.0, 0.5, 0.25), half_life_weeks=2.0, max_neighbours=3)
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
Counts = dict[int, dict[int, float]]


def changes(transitions: list[Transition], *, restarted: bool = False, key: int = 1) -> TransitionChanges:
    rows = np.array(transitions, np.int64).reshape(-1, len(Transition._fields))
    return TransitionChanges(rows, {1: key}, restarted)


def counted(*transitions: Transition, rules: CountRules = RULES) -> TransitionCounts:
    counts = TransitionCounts(rules)
    counts.apply(changes(list(transitions), restarted=True))
    return counts


def as_dict(neighbours: Neighbours) -> dict[int, float]:
    return dict(zip(neighbours.keys.tolist(), neighbours.counts.tolist(), strict=True))


def by_hand(transitions: list[Transition], rules: CountRules, newest: int) -> tuple[Counts, Counts]:
    followers: Counts = defaultdict(lambda: defaultdict(float))
    predecessors: Counts = defaultdict(lambda: defaultdict(float))
    for item, week, sign, *previous in transitions:
        for earlier, weight in zip(previous, rules.distances, strict=True):
            if earlier not in (0, item):
                worth = sign * weight * 0.5 ** ((newest - week) / rules.half_life_weeks)
                followers[earlier][item] += worth
                predecessors[item][earlier] += worth
    return followers, predecessors


def test_a_pair_counts_by_distance_and_age() -> None:
    counts = counted(Transition(4, 100, 1, 3, 2, 1), Transition(4, 102, 1, 3, 0, 0))  # two weeks are a half-life
    assert as_dict(counts.after(3)) == pytest.approx({4: 0.5 + 1.0})
    assert as_dict(counts.after(2)) == pytest.approx({4: 0.25})
    assert as_dict(counts.after(1)) == pytest.approx({4: 0.125})
    assert as_dict(counts.after(4)) == {}
    assert as_dict(counts.before(4)) == pytest.approx({3: 1.5, 2: 0.25, 1: 0.125})
    assert as_dict(counts.before(9)) == {}


def test_an_item_does_not_follow_itself() -> None:
    assert as_dict(counted(Transition(4, 100, 1, 4, 2, 4)).before(4)) == pytest.approx({2: 0.5})


def test_only_the_strongest_neighbours_are_used_and_all_are_in_the_total() -> None:
    counts = counted(*(Transition(item, 100, 1, 1, 0, 0) for item in (2, 3, 4, 5) for _ in range(item)))
    assert as_dict(counts.after(1)) == pytest.approx({3: 3.0, 4: 4.0, 5: 5.0})
    assert counts.after(1).total == pytest.approx(14.0)


def test_shares_of_items_in_all_events_decay_too_and_numbers_do_not() -> None:
    taken = Transition(4, 100, 1, 3, 0, 0)
    counts = counted(taken, Transition(2, 102, 1, 0, 0, 0))
    assert counts.shares(np.array([2, 3, 4, 99])).tolist() == pytest.approx([2 / 3, 0, 1 / 3, 0])
    counts.apply(changes([Transition(2, 102, 1, 2, 0, 0), *taken_back([taken])]))
    assert counts.shares(np.array([2, 4])).tolist() == [1, 0]
    assert counts.num_events(np.array([2, 4, 99, -1])).tolist() == [2, 0, 0, 0]


def test_what_is_taken_back_is_no_neighbour_any_more() -> None:
    first, second = Transition(2, 100, 1, 1, 0, 0), Transition(3, 104, 1, 2, 1, 0)
    counts = counted(first, second)
    counts.apply(changes(taken_back([second])))
    assert as_dict(counts.after(1)) == pytest.approx({2: 0.25})
    assert as_dict(counts.after(2)) == {}
    assert as_dict(counts.before(3)) == {}


@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from([0.5, 1.0, 2.0, -1.0])), max_size=60), st.integers(0, 60))
def test_the_strongest_neighbours_are_those_of_a_plain_sort(added: list[tuple[int, float]], num_first: int) -> None:
    counts, sums = NeighbourCounts(max_neighbours=5, max_stored=2000), Counter[int]()
    others = np.arange(1000)  # so many that additions are merged when they are read
    counts.add(Pairs(np.full(1000, 2), others, np.ones(1000)), smallest=1e-6)
    for number, (neighbour, weight) in enumerate(added):
        counts.add(Pairs(np.array([1]), np.array([neighbour]), np.array([weight])), smallest=1e-6)
        sums[neighbour] += weight  # type: ignore[assignment]
        if number == num_first:
            counts.of(1)  # what is kept until the next addition
    known = {neighbour: total for neighbour, total in sums.items() if total > 0}
    strongest = sorted(known, key=lambda neighbour: (-known[neighbour], neighbour))[:5]
    assert as_dict(counts.of(1)) == {neighbour: known[neighbour] for neighbour in sorted(strongest)}
    assert counts.of(1).total == sum(known.values())


@given(
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from([0.3, 1.0, 2.0, -1.0])), max_size=120), st.integers(1, 20)
)
def test_neighbours_read_after_each_addition_are_those_read_once(added: list[tuple[int, float]], every: int) -> None:
    read_often, read_once = (NeighbourCounts(max_neighbours=5, max_stored=2000) for _ in range(2))
    first = Pairs(np.full(1000, 2), np.arange(1000), np.ones(1000)), Pairs(np.full(9, 1), np.arange(9), np.ones(9))
    for number, pairs in enumerate([*first, *(Pairs(*map(np.array, ([1], [key], [weight]))) for key, weight in added)]):
        for counts in (read_often, read_once):
            counts.add(pairs, smallest=1e-6)
        if number % every == 0:
            read_often.of(1)
    assert as_dict(read_often.of(1)) == as_dict(read_once.of(1))
    assert read_often.of(1).total == pytest.approx(read_once.of(1).total)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 30)), min_size=1, max_size=300))
def test_few_neighbours_are_stored_and_all_are_in_the_total(added: list[tuple[int, int]]) -> None:
    counts, sums = NeighbourCounts(max_neighbours=3, max_stored=8), Counter(added)
    for item, neighbour in added:
        counts.add(Pairs(np.array([item]), np.array([neighbour]), np.ones(1)), smallest=1e-6)
    items, _, weights, rest_items, rest = counts.arrays()
    assert max(Counter(items.tolist()).values()) <= 8
    for item in {item for item, _ in added}:
        total = sum(number for (first, _), number in sums.items() if first == item)
        assert counts.of(item).total == pytest.approx(total)
        assert weights[items == item].sum() + rest[rest_items == item].sum() == pytest.approx(total)


def test_the_weakest_neighbours_are_left_out_and_count_anew_later() -> None:
    counts = NeighbourCounts(max_neighbours=4, max_stored=4)
    counts.add(Pairs(np.full(6, 1), np.arange(6), np.array([9.0, 5.0, 1.0, 8.0, 2.0, 7.0])), smallest=1e-6)
    assert as_dict(counts.of(1)) == {0: 9.0, 1: 5.0, 3: 8.0, 5: 7.0}
    counts.add(Pairs(np.array([1]), np.array([2]), np.array([6.0])), smallest=1e-6)
    counts.arrays()
    assert as_dict(counts.of(1)) == {0: 9.0, 2: 6.0, 3: 8.0, 5: 7.0}
    counts.add(Pairs(np.full(2, 1), np.array([4, 0]), np.array([-2.0, -9.0])), smallest=1e-6)  # taken back
    counts.arrays()
    assert counts.of(1).total == pytest.approx(8 + 7 + 6 + 5 + 1)


@given(st.lists(some_transitions, min_size=1, max_size=6), st.data())
def test_changes_in_any_pieces_equal_a_count_from_scratch(pieces: list[list[Transition]], data: st.DataObject) -> None:
    rules = CountRules((1.0, 0.5, 0.25), half_life_weeks=2.0, max_neighbours=100)
    counts, known = TransitionCounts(rules), list[Transition]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.transitions.counts.MANY_PAIRS", data.draw(st.sampled_from([0, 100_000])))
        for number, piece in enumerate(pieces):
            num_back = data.draw(st.integers(0, len(known)))
            counts.apply(changes([*piece, *taken_back(known[:num_back])], restarted=number == 0, key=number))
            known = [*known[num_back:], *piece]
    newest = max((t.week for piece in pieces for t in piece), default=0)
    followers, predecessors = by_hand(known, rules, newest)
    for item in range(1, 7):
        assert as_dict(counts.after(item)) == pytest.approx(dict(followers[item]), rel=1e-4)
        assert as_dict(counts.before(item)) == pytest.approx(dict(predecessors[item]), rel=1e-4)
