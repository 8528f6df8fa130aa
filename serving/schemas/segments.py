"""Segments: what their routes take and answer."""

from __future__ import annotations

from typing import Any

from core.definitions.followed import NamedDefinition
from core.users.segments import Segment
from serving.schemas.base import Schema
from serving.schemas.definitions import CHANGE_AUTHOR, DefinitionRevisionOut
from serving.schemas.openapi import ERRORS_404, document, path_parameter


class SegmentIn(Schema):
    """The users whose attributes satisfy a filter."""

    description: str | None = None
    """For people."""
    where: dict[str, Any]
    """As the filter of a request, with attributes of users: {"country": "de", "age": {"min": 18}}."""


class SegmentOut(Schema):
    """A segment as it serves."""

    name: str
    revision: int
    author: str
    time: int
    definition: dict[str, Any]


class SegmentsOut(Schema):
    """All segments, by name."""

    segments: list[SegmentOut]


def segment_out(named: NamedDefinition[Segment]) -> dict[str, object]:
    """A segment as `SegmentOut`."""
    stored = named.stored
    assert stored is not None
    fields = {"name": stored.name, "revision": stored.revision, "author": stored.author, "time": stored.time_ms}
    return {**fields, "definition": named.definition}


_TAG = "segments"
_NAME = path_parameter("name")

GET_SEGMENTS = document(SegmentsOut, tag=_TAG)
GET_SEGMENT = document(SegmentOut, tag=_TAG, parameters=(_NAME,), errors=ERRORS_404)
PUT_SEGMENT = document(
    DefinitionRevisionOut,
    tag=_TAG,
    parameters=(_NAME, CHANGE_AUTHOR),
    bodies=(SegmentIn,),
    examples={"by two attributes": {"where": {"country": ["de", "at"], "plan": "premium"}}},
)
DELETE_SEGMENT = document(DefinitionRevisionOut, tag=_TAG, parameters=(_NAME, CHANGE_AUTHOR), errors=ERRORS_404)
