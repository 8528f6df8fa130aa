"""The blend: the parts of a score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.blending.blend import POPULARITY_FLOOR, Blend, ItemCounts

BLEND = Blend(encoder=0.5, forward=2.0, backward=1.0, recent=1.0, lasting=-1.0, events=3.0)


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
