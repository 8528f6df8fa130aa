"""The blend: the parts of a score."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from core.blending.blend import POPULARITY_FLOOR, Blend, ItemCounts, share_logs
from core.blending.untrained import UntrainedItems

BLEND = Blend(encoder=0.5, forward=2.0, backward=1.0, recent=1.0, lasting=-1.0, events=3.0)
ADDED = UntrainedItems(forward=0.5, backward=0.25, recent=-1.0, lasting=0.0, events=1.0, constant=-4.0)
NOTHING = np.full(2, -np.inf, np.float32)  # both items have been trained on


def test_the_parts_of_a_score_follow_the_formula() -> None:
    counts = ItemCounts(np.array([0.25, 0.0]), np.array([0.5, 0.5]), np.array([3, 0]))
    lasting = -math.log(POPULARITY_FLOOR + 0.5)
    expected = [math.log(POPULARITY_FLOOR + 0.25) + lasting + 3 * math.log(4), math.log(POPULARITY_FLOOR) + lasting]
    assert BLEND.item_part(counts.logs(), NOTHING) == pytest.approx(expected, rel=1e-5)
    logs, nothing = share_logs(np.array([0.0, 0.999], np.float32)), np.zeros(2, np.float32)
    assert logs == pytest.approx([0.0, math.log(1000)])
    assert BLEND.neighbour_part(logs, nothing, NOTHING) == pytest.approx([0.0, 2 * math.log(1000)])
    assert BLEND.neighbour_part(nothing, logs, NOTHING) == pytest.approx([0.0, math.log(1000)])


def test_an_untrained_item_gains_what_its_counts_say_but_never_loses() -> None:
    blend = replace(BLEND, untrained=ADDED)
    logs = ItemCounts(np.array([0.25, 0.25]), np.array([0.5, 0.5]), np.array([3, 3])).logs()
    gains = blend.gains(logs, np.array([False, True]))
    gain = -math.log(POPULARITY_FLOOR + 0.25) + math.log(4) - 4
    assert gain < 0
    assert gains == pytest.approx([gain, -math.inf], rel=1e-5)
    assert blend.item_part(logs, gains) == pytest.approx(BLEND.item_part(logs, NOTHING))
    neighbours = np.full(2, 4.0, np.float32)
    added = blend.neighbour_part(neighbours, neighbours, gains) - BLEND.neighbour_part(neighbours, neighbours, NOTHING)
    assert added == pytest.approx([4 * 0.5 + 4 * 0.25 + gain, 0.0], rel=1e-5)
    raised = replace(blend, untrained=replace(ADDED, constant=1.0))
    gains = raised.gains(logs, np.array([False, True]))
    assert raised.item_part(logs, gains) - BLEND.item_part(logs, NOTHING) == pytest.approx([gain + 5, 0.0], rel=1e-5)
    added = raised.neighbour_part(neighbours, neighbours, gains) - BLEND.neighbour_part(neighbours, neighbours, NOTHING)
    assert added == pytest.approx([3.0, 0.0], rel=1e-5)


def test_a_blend_survives_json_and_refuses_other_fields() -> None:
    for blend in (BLEND, replace(BLEND, untrained=ADDED)):
        assert Blend.from_json(json.loads(json.dumps(blend.to_json()))) == blend
    with pytest.raises(ValueError, match="wanted the weights backward, encoder"):
        Blend.from_json({"encoder": 1.0})
    with pytest.raises(ValueError, match="wanted the weights backward, constant"):
        Blend.from_json({**BLEND.to_json(), "untrained": {"constant": 1.0}})


def test_a_stored_blend_of_older_versions_adds_nothing_for_untrained_items() -> None:
    stored = {"encoder": 0.5, "forward": 2.0, "backward": 1.0, "recent": 1.0, "lasting": -1.0, "events": 3.0}
    assert Blend.from_json(stored) == BLEND
    assert BLEND.to_json() == stored
