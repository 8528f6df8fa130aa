"""Segments: parsed with the field that is wrong, followed by processes, and asked for the segments of a user."""

from __future__ import annotations

from typing import Any

import pytest
from doubles import MemoryStore

from core.catalogue.filters import filter_of
from core.definitions.kinds import SEGMENT, delete_definition
from core.errors import InvalidInput
from core.users.segments import CurrentSegments, parse_segment, save_segment


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "segment.where: wanted a value"),
        ({"where": {}}, "where: wanted a condition"),
        ({"where": {"country": None}}, "where: wanted a string"),
        ({"where": {"not": {"user.country": "de"}}}, "got 'user.country'; write 'country'"),
        ({"where": {"country": "de"}, "who": 1}, "'who': unknown field of segment"),
    ],
)
def test_what_is_wrong_is_named(raw: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_segment(raw, name="adults")


def test_a_process_follows_what_is_stored() -> None:
    store = MemoryStore()
    segments = CurrentSegments(store)
    save_segment(store, "adults", {"where": {"age": {"min": 18}}}, author="ann")
    save_segment(store, "german", {"where": {"country": "de"}}, author="ann")
    assert segments.of({"age": 40}) == ()
    segments.follow()
    assert segments.of({"age": 40, "country": "de"}) == ("adults", "german")
    assert segments.of({"age": 17}) == ()
    delete_definition(store, SEGMENT, "adults", author="ann")
    segments.follow()
    assert segments.of({"age": 40}) == ()


def test_the_same_definition_again_is_no_new_revision() -> None:
    store = MemoryStore()
    changes = [save_segment(store, "adults", {"where": {"age": 18}}, author="ann") for _ in range(2)]
    assert [change.revision for change in changes] == [1, 1]


def test_a_segment_that_does_not_exist_is_named() -> None:
    segments = CurrentSegments(MemoryStore())
    segments.check(filter_of({"user.country": "de"}))
    with pytest.raises(InvalidInput, match=r"user.segment: wanted a known name, got 'vip'; known are none yet"):
        segments.check(filter_of({"not": {"user.segment": "vip"}}))
