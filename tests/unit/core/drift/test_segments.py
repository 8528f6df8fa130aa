"""Segments: what an event says of itself, with a limit to the values of a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.drift.segments import MAX_VALUES, NEW, NEW_USER_EVENTS, EventSegments
from core.records.stored import EventRow


def row(user_seq: int = 100, context: Mapping[str, Any] | None = None) -> EventRow:
    return EventRow(b"key", 1, 1, 0, 0, user_seq, None, context, None)


def test_the_first_events_of_a_user_are_those_of_a_new_user() -> None:
    segments = EventSegments()
    assert [segments.of(row(seq)) for seq in (1, NEW_USER_EVENTS, NEW_USER_EVENTS + 1)] == [[NEW], [NEW], []]


def test_a_field_of_the_context_gives_a_segment_by_its_value() -> None:
    segments = EventSegments(["event.country", "event.device"])
    assert segments.of(row(context={"country": "DE", "page": 3})) == ["event.country=DE"]
    assert segments.of(row(context={"country": None, "device": 7})) == ["event.device=7"]


def test_values_beyond_the_limit_are_counted_together() -> None:
    segments = EventSegments(["event.visit"])
    names = {name for number in range(3 * MAX_VALUES) for name in segments.of(row(context={"visit": number}))}
    assert len(names) == MAX_VALUES + 1
    assert "event.visit=other" in names
