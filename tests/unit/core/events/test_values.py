"""Values of events: what they do to weights and kinds, by numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from domain_doubles import NOW_MS, ingestor
from doubles import MemoryStore

from core.events.interactions import EventType, EventTypes, Interaction
from core.events.values import DISLIKED, ValueWeight
from core.ingestion.sources import RequestSource


@pytest.mark.parametrize(
    ("how", "value", "weight"),
    [
        ("none", 5.0, 2.0),
        ("linear", None, 2.0),
        ("linear", 0.5, 1.0),
        ("linear", 0.0, 0.0),
        ("linear", -3.0, 0.0),
        ("linear", 1e300, 2e12),
        ("log", 1.0, 2.0),
        ("log", 7.0, 6.0),
    ],
)
def test_the_weight_of_an_event_follows_its_value(how: ValueWeight, value: float | None, weight: float) -> None:
    assert EventTypes((EventType("rating", weight=2.0, value_weight=how),)).weight(0, value) == weight


@pytest.mark.parametrize(("how", "first"), [("none", "i2"), ("linear", "i1")])
def test_ten_good_ratings_pass_eleven_poor_ones_where_values_weigh(how: ValueWeight, first: str) -> None:
    store, types = MemoryStore(), EventTypes((EventType("rating", value_weight=how),))
    stars = [("i1", 5.0)] * 10 + [("i2", 0.5)] * 11
    events = [
        Interaction(f"e{index}", f"u{index}", item_id, "rating", NOW_MS, value)
        for index, (item_id, value) in enumerate(stars)
    ]
    ingestor(store, types=types).ingest(events, RequestSource("api"))
    with store.read() as read:
        keys, scores = read.popularity.scores()
        best = read.items.by_key([int(keys[scores.argmax()])])
    assert [stored.item.item_id for stored in best.values()] == [first]


def test_only_values_below_the_threshold_make_an_event_a_dislike() -> None:
    types = EventTypes((EventType("view"), EventType("rating", dislike_below=3.0)))
    codes = [types.stored_code(1, value) for value in (2.9, 3.0, None, -math.inf)]
    assert codes == [1 + DISLIKED, 1, 1, 1 + DISLIKED]
    assert [types.name(code) for code in codes] == ["rating"] * 4
    assert types.stored_code(codes[0], 4.0) == 1, "a rebuild starts from the code that is stored"
    assert (types.flagged("window"), types.flagged("hide")) == ((0, 1), (1 + DISLIKED,))


def test_without_rules_of_values_a_database_needs_no_rebuild() -> None:
    rated = EventTypes((EventType("rating", dislike_below=3.0),))
    weighed = EventTypes((EventType("rating", value_weight="log"),))
    assert EventTypes((EventType("rating", unhide=True),)).digest() == EventTypes((EventType("rating"),)).digest()
    assert len({types.digest() for types in (rated, weighed, EventTypes((EventType("rating"),)))}) == 3
