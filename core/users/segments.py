"""Segments: named conditions on the attributes of users. Membership is computed when asked for, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.catalogue.filters import Filter, filter_of
from core.clock import Clock, WallClock
from core.definitions.followed import FollowedDefinitions
from core.definitions.kinds import SEGMENT, save_definition
from core.errors import InvalidInput, UnknownDefinition
from core.events.interactions import shorten
from core.json_fields import check_description, check_name, object_fields
from core.ports.store import Store
from core.records.stored import DefinitionRevision
from core.users.conditions import PREFIX, SEGMENT_NAME, satisfies, user_conditions

FIELDS = ("description", "where")
_WALL = WallClock()


@dataclass(frozen=True, slots=True)
class Segment:
    """The users who satisfy a filter; its names are attributes of users."""

    name: str
    where: Filter

    def holds(self, attributes: Mapping[str, Any]) -> bool:
        """Whether a user with these attributes is in the segment."""
        return satisfies(self.where, attributes)


def parse_segment(raw: object, *, name: str) -> Segment:
    """A decoded JSON object as a segment; raises `InvalidInput` with the path of the wrong field."""
    values = object_fields(raw, "segment", FIELDS, required=("where",))
    check_description(values.get("description"))
    where = filter_of(values["where"])
    if not where:
        msg = 'where: wanted a condition as {"country": "de"}, got none; it would be every user'
        raise InvalidInput(msg, field="where")
    prefixed = next(user_conditions(where), None)
    if prefixed is not None:
        plain = prefixed.name.removeprefix(PREFIX)
        msg = f"where: wanted the name of an attribute, got {shorten(prefixed.name)}; write {shorten(plain)}"
        raise InvalidInput(msg, field="where")
    return Segment(check_name(name), where)


def save_segment(
    store: Store, name: str, definition: Mapping[str, Any], *, author: str, clock: Clock = _WALL
) -> DefinitionRevision:
    """Insert or replace a segment; the same definition again changes nothing. Raises `InvalidInput`."""
    parse_segment(definition, name=name)
    return save_definition(store, SEGMENT, name, definition, author=author, clock=clock)


class CurrentSegments(FollowedDefinitions[Segment]):
    """The segments of a process by name; thread-safe."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, SEGMENT, _parse)

    def of(self, attributes: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the segments of a user with these attributes, ascending."""
        return tuple(name for name, named in self.all().items() if named.parsed.holds(attributes))

    def conditions(self) -> Mapping[str, Filter]:
        """The conditions by name."""
        return {name: named.parsed.where for name, named in self.all().items()}

    def check(self, *filters: Filter) -> None:
        """Raise `UnknownDefinition` where a filter names a segment that does not exist."""
        for condition in (part for where in filters for part in user_conditions(where)):
            if condition.name != SEGMENT_NAME:
                continue
            unknown = [choice for choice in condition.any_of if choice not in self.all()]
            if unknown:
                known = (
                    ", ".join(list(self.all())[:20])
                    or "none yet; `tidewise segments put`, or PUT /v1/segments/NAME, makes one"
                )
                msg = f"{SEGMENT_NAME}: wanted a known name, got {shorten(unknown[0])}; known are {known}"
                raise UnknownDefinition(msg, field="where")


def _parse(definition: Mapping[str, Any], name: str) -> Segment:
    return parse_segment(definition, name=name)
