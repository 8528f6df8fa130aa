"""The blend: shares among the neighbours of the last items, and the parts of a score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.blending.blend import POPULARITY_FLOOR, Blend, ItemCounts, neighbour_shares
from core.transitions.neighbours import Neighbours

NOTHING_HIDDEN = np.empty(0, np.int64)
BLEND = Blend(encoder=0.5, forward=2.0, backward=1.0, recent=1.0, lasting=-1.0, events=3.0)


def neighbours(counts: dict[int, float], *, total: float | None = None) -> Neighbours:
    kept = Neighbours(np.array(sorted(counts)), np.array([counts[key] for key in sorted(counts)], np.float32), 0.0)
    return kept._replace(total=sum(counts.values()) if total is None else total)


def shares(last: list[Neighbours], hidden: list[int] | None = None) -> dict[int, float]:
    keys, values = neighbour_shares(last, np.array(hidden or [], np.int64))
    return dict(zip(keys.tolist(), values.tolist(), strict=True))


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


def test_the_parts_of_a_score_follow_the_formula() -> None:
    counts = ItemCounts(np.array([0.25, 0.0]), np.array([0.5, 0.5]), np.array([3, 0]))
    lasting = -math.log(POPULARITY_FLOOR + 0.5)
    expected = [math.log(POPULARITY_FLOOR + 0.25) + lasting + 3 * math.log(4), math.log(POPULARITY_FLOOR) + lasting]
    assert BLEND.item_part(counts) == pytest.approx(expected, rel=1e-5)
    assert BLEND.forward_part(np.array([0.0, 0.999], np.float32)) == pytest.approx([0.0, 2 * math.log(1000)])
    assert BLEND.backward_part(np.array([0.999], np.float32)) == pytest.approx([math.log(1000)])


def test_a_blend_survives_json_and_refuses_other_fields() -> None:
    assert Blend.from_json(BLEND.to_json()) == BLEND
    with pytest.raises(ValueError, match="wanted the weights backward, encoder"):
        Blend.from_json({"encoder": 1.0})
