"""The slate: pins stand where they were put, caps hold, similar items spread, and draws state how likely they were.

Items are rows of a catalogue; the ranking is by row. Item vectors are given by a list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.scenarios.candidates import Candidates, DiverseCandidates
from core.scenarios.caps import Caps
from core.scenarios.pools import Pools
from core.scenarios.propensities import propensities
from core.scenarios.scenario import Cap, Exploration
from core.scenarios.slate import Slate, Slot

NO_ROWS = np.empty(0, np.int64)


def catalogue(categories: Sequence[Sequence[str]], brands: Sequence[str | None] = ()) -> Catalogue:
    """Items with these categories and brands."""
    num = len(categories)
    names = [str(row) for row in range(num)]
    attributes = [{"brand": brand} if brand else {} for brand in brands] or [{}] * num
    listed = np.ones(num, np.bool_)
    return Catalogue(np.arange(num), names, names, list(map(tuple, categories)), listed, attributes=attributes)


def nothing(num: int) -> BoolArray:
    """No row is placed yet."""
    return np.zeros(num, np.bool_)


def plain(num: int) -> Catalogue:
    return catalogue([()] * num)


class Order:
    """A ranking by row, which notes how deep it was read."""

    def __init__(self, num: int) -> None:
        self.num = num
        self.depths: list[int] = []

    def __call__(self, depth: int) -> tuple[IntArray, FloatArray]:
        self.depths.append(depth)
        rows = np.arange(min(depth, self.num))
        return rows, (-rows).astype(np.float32)


def slate(items: Catalogue, *caps: Cap, depth: int = 4) -> Slate:
    return Slate(Candidates(Order(len(items)), depth=depth), Caps(items, caps), nothing(len(items)))


def rows(slots: Sequence[Slot]) -> list[int]:
    return [slot.row for slot in slots]


# --- pins


def test_pins_stand_at_their_positions_and_nowhere_else() -> None:
    slots = slate(plain(9)).fill(5, {4: 0, 1: 7})
    assert rows(slots) == [7, 1, 2, 0, 3]
    assert [slot.origin for slot in slots] == ["pin", "ranking", "ranking", "pin", "ranking"]


def test_a_pin_behind_the_end_of_a_short_list_follows_it() -> None:
    assert rows(slate(plain(3)).fill(9, {8: 0, 6: 2})) == [1, 2, 0]
    assert rows(slate(plain(9)).fill(2, {8: 0})) == [0, 1], "beyond n there is no position"


# --- caps


def test_a_cap_is_not_exceeded_and_deeper_items_follow() -> None:
    items = catalogue([["tents"]] * 30 + [["mugs"], ["tents"], ["maps"]])
    order = Order(len(items))
    filled = Slate(Candidates(order, depth=4), Caps(items, [Cap("categories", 2)]), nothing(len(items))).fill(4, {})
    assert rows(filled) == [0, 1, 30, 32]
    assert order.depths == [4, 16, 64], "the list grows until the positions are filled"


def test_pins_count_for_caps_before_all_else() -> None:
    items = catalogue([["tents"]] * 3 + [["mugs"]])
    assert rows(slate(items, Cap("categories", 1)).fill(3, {2: 2})) == [3, 2]


CATEGORIES = st.lists(st.sets(st.sampled_from("abc"), max_size=2), max_size=25)


@given(CATEGORIES, st.integers(1, 3), st.integers(1, 12))
def test_a_list_ends_only_where_no_item_may_follow(categories: list[set[str]], num: int, n: int) -> None:
    items = catalogue([sorted(names) for names in categories])
    chosen = rows(slate(items, Cap("categories", num), depth=1).fill(n, {}))
    counts = Counter(name for row in chosen for name in categories[row])
    assert max(counts.values(), default=0) <= num
    fitting = [row for row, names in enumerate(categories) if all(counts[name] < num for name in names)]
    assert len(chosen) == n or set(fitting) <= set(chosen)
    assert chosen == sorted(set(chosen)), "in the order of the ranking, none twice"


def test_caps_on_an_attribute_leave_items_without_it_alone() -> None:
    items = catalogue([()] * 6, ["acme", None, "acme", "nord", None, "acme"])
    assert rows(slate(items, Cap("brand", 1)).fill(6, {})) == [0, 1, 3, 4]


# --- maximal marginal relevance

AXES = {"x": (1.0, 0.0), "y": (0.0, 1.0), "-x": (-1.0, 0.0)}


def diverse(directions: Sequence[str], weight: float, n: int = 3, depth: int = 50) -> list[int]:
    vectors = np.array([AXES[name] for name in directions], np.float32)
    items = plain(len(directions))
    candidates = DiverseCandidates(
        Order(len(items)), depth=depth, weight=weight, vectors=lambda chosen: vectors[chosen]
    )
    return rows(Slate(candidates, Caps(items, ()), nothing(len(items))).fill(n, {}))


def test_an_item_unlike_those_placed_comes_before_a_more_relevant_like_one() -> None:
    directions = ["x", "x", "x", "y", "x"]  # relevance 1, 3/4, 1/2, 1/4, 0
    assert diverse(directions, 1.0) == [0, 1, 2]
    assert diverse(directions, 0.5) == [0, 3, 1]
    assert diverse(directions, 0.9) == [0, 1, 2], "0.9 * 1/4 + 0.1 is less than 0.9 * 1/2"


def test_opposite_items_are_no_more_diverse_than_unrelated_ones() -> None:
    assert diverse(["x", "y", "-x"], 0.1) == [0, 1, 2]


def test_what_is_placed_counts_when_more_candidates_are_taken() -> None:
    assert diverse(["x", "x", "x", "y"], 0.2, depth=1) == [0, 3, 1]


# --- exploration


class Draws:
    """Random numbers that are given."""

    def __init__(self, *values: float) -> None:
        self._values = iter(values)

    def random(self) -> float:
        return next(self._values)

    def randrange(self, stop: int, /) -> int:
        return int(next(self._values) * stop)


def explored(num: int, rule: Exploration, new: Sequence[int], draws: Draws, n: int = 2) -> list[Slot]:
    candidates = Candidates(Order(num), depth=num)
    pools = Pools(rule, np.arange(min(rule.pool, num)), np.array(new, np.int64))
    return Slate(candidates, Caps(plain(num), ()), nothing(num), pools=pools, random=draws).fill(n, {})


def test_a_drawn_item_states_how_likely_it_was() -> None:
    rule = Exploration(share=0.5, pool=4, new_share=0.25)
    slots = explored(10, rule, [8, 9], Draws(0.4, 0.9, 0.5, 0.6))
    assert rows(slots) == [2, 0]
    assert [slot.origin for slot in slots] == ["exploration", "ranking"]
    assert slots[0].propensity == pytest.approx(0.5 * 0.75 / 4)
    not_first, second = 1 - (0.5 + 0.5 * 0.75 / 4), 0.5 + 0.5 * 0.75 / 3
    assert slots[1].propensity == pytest.approx(not_first * second), "passed over, then the best one or one of three"


def test_new_items_are_drawn_wherever_they_rank() -> None:
    (slot,) = explored(10, Exploration(0.5, pool=4, new_share=0.25), [8, 9], Draws(0.4, 0.2, 0.5), n=1)
    assert (slot.row, slot.origin) == (9, "exploration")
    assert slot.propensity == pytest.approx(0.5 * 0.25 / 2)


def test_without_new_items_all_draws_are_from_the_ranking() -> None:
    (slot,) = explored(10, Exploration(1.0, pool=4, new_share=1.0), [], Draws(0.0, 0.0, 0.99), n=1)
    assert (slot.row, slot.propensity) == (3, 0.25)


def test_a_drawn_item_that_was_hidden_a_moment_ago_is_drawn_again() -> None:
    pools = Pools(Exploration(1.0, pool=4, new_share=0.0), np.arange(4), NO_ROWS)
    draws = Draws(0.0, 0.5, 0.99, 0.0, 0.5, 0.99)
    candidates = Candidates(Order(4), depth=4)
    caps = Caps(plain(4), ())
    hidden = Slate(candidates, caps, nothing(4), pools=pools, random=draws, is_listed=lambda row: row != 3)
    assert hidden.fill(1, {}) == [Slot(2, "exploration", pytest.approx(1 / 3))]


PINNED = st.sets(st.integers(1, 8), max_size=4)


@given(st.sets(st.integers(0, 19)), st.integers(0, 8), PINNED, st.floats(0, 1), st.randoms())
def test_an_answer_has_the_demanded_new_items_while_there_are_any(
    new: set[int], demanded: int, pinned: set[int], share: float, random: Random
) -> None:
    rule = Exploration(share, pool=10, new_share=0.2, new_items=demanded)
    pools = Pools(rule, np.arange(10), np.array(sorted(new), np.int64))
    filling = Slate(Candidates(Order(20), depth=20), Caps(plain(20), ()), nothing(20), pools=pools, random=random)
    slots = filling.fill(8, {position: 19 - position for position in pinned})
    free = [slot for slot in slots if slot.origin != "pin"]
    fitting = new - {19 - position for position in pinned}
    num_new = sum(slot.row in new for slot in slots)
    assert num_new >= min(demanded, len(new - fitting) + min(len(fitting), 8 - len(pinned)))
    assert all(0 < slot.propensity <= 1 for slot in free)


@given(st.sets(st.integers(0, 9)), st.integers(0, 3), st.integers(1, 3), st.floats(0, 1), st.floats(0, 1))
def test_the_propensities_of_a_first_position_sum_to_one(
    new: set[int], demanded: int, num_free: int, share: float, new_share: float
) -> None:
    rule = Exploration(share, pool=4, new_share=new_share, new_items=demanded)
    pools = Pools(rule, np.arange(4), np.array(sorted(new), np.int64))
    shows = pools.open(nothing(10), num_new=0, num_free=num_free).chances(best=0)
    assert sum(propensities([row], [shows], pools)[0] for row in range(10)) == pytest.approx(1.0)


def test_propensities_of_demanded_new_items_are_the_shares_of_all_draws() -> None:
    rule = Exploration(share=0.25, pool=4, new_share=0.5, new_items=1)
    grid = [(step + 0.5) / 4 for step in range(4)]
    rest = (0.9, 0.9, 0.9, 0.9)  # for the second position
    draws = [explored(6, rule, [1, 5], Draws(*four, *rest), n=2)[0] for four in product(grid, repeat=4)]
    shares = Counter(slot.row for slot in draws)
    assert {slot.row: slot.propensity for slot in draws} == pytest.approx(
        {row: num / len(draws) for row, num in shares.items()}
    )


@pytest.mark.parametrize("new", [[], [5], [1, 5]])
def test_propensities_are_the_shares_of_all_draws(new: list[int]) -> None:
    rule = Exploration(share=0.25, pool=3, new_share=0.5)
    grid = [(step + 0.5) / 12 for step in range(12)]
    draws = [explored(6, rule, new, Draws(*three), n=1)[0] for three in product(grid, repeat=3)]
    shares = Counter(slot.row for slot in draws)
    assert {slot.row: slot.propensity for slot in draws} == pytest.approx(
        {row: num / len(draws) for row, num in shares.items()}
    )


class Branches:
    """Random numbers of one path through a tree of draws: `random` has two outcomes, `randrange` all of its own."""

    def __init__(self, path: Sequence[int]) -> None:
        self.path = list(path)
        self.sizes: list[int] = []

    def random(self) -> float:
        return 0.25 + 0.5 * self._taken(2)

    def randrange(self, stop: int, /) -> int:
        return self._taken(stop)

    def _taken(self, size: int) -> int:
        if len(self.sizes) == len(self.path):
            self.path.append(0)
        self.sizes.append(size)
        return self.path[len(self.sizes) - 1]

    def next_path(self) -> list[int] | None:
        """The path after this one; None after the last."""
        path = self.path
        while path and path[-1] + 1 == self.sizes[len(path) - 1]:
            path = path[:-1]
        return [*path[:-1], path[-1] + 1] if path else None


def all_lists(fill: Callable[[Branches], list[Slot]]) -> Iterator[tuple[float, list[Slot]]]:
    """Every list with its probability, where shares are 0, 1/2 or 1."""
    path: list[int] | None = []
    while path is not None:
        branches = Branches(path)
        slots = fill(branches)
        yield 1 / prod(branches.sizes), slots
        path = branches.next_path()


@pytest.mark.parametrize("is_diverse", [False, True])
@pytest.mark.parametrize(
    ("n", "new", "demanded", "pins"),
    [(3, [], 0, {}), (3, [1, 5], 0, {}), (3, [], 0, {2: 1}), (2, [1, 5], 1, {}), (3, [1, 5], 1, {1: 0})],
)
def test_weights_of_one_over_the_propensity_have_mean_one(
    n: int, new: list[int], demanded: int, pins: dict[int, int], is_diverse: bool
) -> None:
    vectors = np.array([AXES[name] for name in ["x", "x", "y", "x", "y", "-x"]], np.float32)
    pools = Pools(Exploration(0.5, pool=4, new_share=0.5, new_items=demanded), np.arange(4), np.array(new, np.int64))

    def fill(random: Branches) -> list[Slot]:
        items, order = plain(6), Order(6)
        candidates = (
            DiverseCandidates(order, depth=6, weight=0.5, vectors=lambda chosen: vectors[chosen])
            if is_diverse
            else Candidates(order, depth=6)
        )
        placed = nothing(6)
        placed[list(pins.values())] = True
        return Slate(candidates, Caps(items, ()), placed, pools=pools, random=random).fill(n, pins)

    free = set(range(1, n + 1)) - set(pins)
    means: Counter[tuple[int, int]] = Counter()
    total = 0.0
    for probability, slots in all_lists(fill):
        total += probability
        for position, slot in enumerate(slots):
            means[position, slot.row] += probability / slot.propensity
    assert total == pytest.approx(1.0)
    always = set(new) if demanded else {*range(4), *new}  # can follow whatever was shown before
    assert {place: mean for place, mean in means.items() if place[1] in always - set(pins.values())} == pytest.approx(
        {(position - 1, row): 1.0 for position in free for row in always - set(pins.values())}
    )
    assert max(means.values()) == pytest.approx(1.0), "less for items that can follow some lists only"
