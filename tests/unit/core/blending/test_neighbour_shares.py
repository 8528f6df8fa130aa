"""Neighbour shares: the formula, hidden items, both directions, and which last item adds most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.blending.neighbour_shares import LAST_DECAY, SHRINKAGE, NeighbourShares
from core.transitions.strongest import Neighbours

NO_HIDDEN = np.empty(0, np.int64)
counted = st.dictionaries(st.one_of(st.integers(1, 12), st.integers(1, 2**40)), st.floats(0.01, 50), max_size=8)
directions = st.integers(1, 4).flatmap(lambda num: st.lists(st.tuples(counted, counted), min_size=num, max_size=num))


def neighbours(counts: dict[int, float], *, total: float | None = None) -> Neighbours:
    kept = Neighbours(
        np.array(sorted(counts), np.int64), np.array([counts[key] for key in sorted(counts)], np.float32), 0.0
    )
    return kept._replace(total=sum(counts.values()) if total is None else total)


def shares(last: list[Neighbours], hidden: list[int] | None = None) -> dict[int, float]:
    """The shares of followers; nothing preceded."""
    found = NeighbourShares.of(last, [neighbours({})] * len(last), np.array(hidden or [], np.int64))
    assert not found.backward.any()
    return dict(zip(found.keys.tolist(), found.forward.tolist(), strict=True))


def test_a_share_is_the_count_over_the_total_and_the_shrinkage() -> None:
    assert shares([neighbours({7: 3.0, 9: 1.0})]) == pytest.approx({7: 3 / 5, 9: 1 / 5})


def test_older_items_weigh_less_by_a_constant_factor() -> None:
    last = [neighbours({7: 1.0}), neighbours({7: 1.0, 9: 2.0})]
    newest, older = 1 / 1.8, 0.8 / 1.8
    assert shares(last) == pytest.approx({7: newest / 2 + older / 4, 9: older * 2 / 4})


def test_hidden_items_have_no_share_and_take_none_from_others() -> None:
    assert shares([neighbours({7: 3.0, 9: 1.0})], hidden=[7]) == pytest.approx({9: 1 / 2})


def test_neighbours_that_were_cut_off_still_count_in_the_total() -> None:
    assert shares([neighbours({7: 3.0}, total=9.0)]) == pytest.approx({7: 3 / 10})


def test_no_history_has_no_shares() -> None:
    assert shares([]) == {}
    assert shares([neighbours({})]) == {}


def test_followers_and_predecessors_have_shares_of_their_own() -> None:
    found = NeighbourShares.of([neighbours({7: 1.0})], [neighbours({5: 3.0, 7: 1.0})], NO_HIDDEN)
    assert found.keys.tolist() == [5, 7]
    assert found.forward.tolist() == pytest.approx([0, 1 / 2])
    assert found.backward.tolist() == pytest.approx([3 / 5, 1 / 5])


def test_the_source_of_an_item_is_the_last_item_that_adds_most() -> None:
    followers = [neighbours({7: 1.0, 8: 9.0}), neighbours({7: 20.0})]
    found = NeighbourShares.of(followers, [neighbours({})] * 2, NO_HIDDEN)
    assert found.pairs is not None
    assert found.pairs.largest(np.array([9, 7, 8])).tolist() == [-1, 1, 0]


@given(directions, st.lists(st.integers(1, 12), max_size=4))
def test_small_and_large_keys_follow_the_formula(
    last: list[tuple[dict[int, float], dict[int, float]]], hidden: list[int]
) -> None:
    found = NeighbourShares.of(
        *([neighbours(one[side]) for one in last] for side in (0, 1)), np.unique(np.array(hidden, np.int64))
    )
    weights = [LAST_DECAY**place for place in range(len(last))]
    terms: dict[tuple[int, int], list[float]] = {}
    for side in (0, 1):
        for place, one in enumerate(last):
            shown = {key: count for key, count in one[side].items() if key not in hidden}
            total = sum(one[side].values()) - sum(one[side][key] for key in one[side] if key in hidden)
            for key, count in shown.items():
                values = terms.setdefault((side, key), [0.0] * len(last))
                values[place] = weights[place] / sum(weights) * count / (total + SHRINKAGE)
    assert found.keys.tolist() == sorted({key for _, key in terms})
    for side, values_k in enumerate((found.forward, found.backward)):
        expected = [sum(terms.get((side, key), [0.0])) for key in found.keys.tolist()]
        assert values_k.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-7)
    if found.pairs is not None and len(found.keys):
        nothing = [0.0] * len(last)
        for key, place in zip(found.keys.tolist(), found.pairs.largest(found.keys).tolist(), strict=True):
            both = np.add(terms.get((0, key), nothing), terms.get((1, key), nothing))
            assert both[place] == pytest.approx(both.max(), rel=1e-4)
