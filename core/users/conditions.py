"""Conditions on the user in filters of items: `user.NAME` is an attribute of the user, `user.segment` a segment.

Such a condition holds for every item or for none, so for one user a filter becomes one of items alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.catalogue.attributes import Between, Condition, as_text, number_of
from core.catalogue.filters import Filter, Not, Or
from core.users.attributes import SEGMENT

PREFIX = "user."
SEGMENT_NAME = f"{PREFIX}{SEGMENT}"
NOTHING: Filter = (Not(()),)  # holds for no item

Holds = Callable[[Condition], bool]


def user_conditions(condition: Filter) -> Iterator[Condition]:
    """The conditions on the user in a filter."""
    for part in condition:
        if isinstance(part, Not):
            yield from user_conditions(part.operand)
        elif isinstance(part, Or):
            for alternative in part.alternatives:
                yield from user_conditions(alternative)
        elif part.name.startswith(PREFIX):
            yield part


def depends_on_user(condition: Filter) -> bool:
    """Whether a filter has a condition on the user."""
    return any(True for _ in user_conditions(condition))


def for_user(condition: Filter, holds: Holds) -> Filter:
    """The filter of items that a filter is for the user of whom `holds` tells the conditions."""
    parts: list[Condition | Not | Or] = []
    for part in condition:
        if isinstance(part, Not):
            parts.append(Not(for_user(part.operand, holds)))
        elif isinstance(part, Or):
            parts.append(Or(tuple(for_user(alternative, holds) for alternative in part.alternatives)))
        elif not part.name.startswith(PREFIX):
            parts.append(part)
        elif not holds(part):
            return NOTHING
    return tuple(parts)


def satisfies(condition: Filter, attributes: Mapping[str, Any]) -> bool:
    """Whether a user with these attributes satisfies a filter whose names are attributes of users."""
    return all(_satisfies(part, attributes) for part in condition)


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What conditions ask of one user. `segments`: their conditions by name."""

    attributes: Mapping[str, Any]
    segments: Mapping[str, Filter]

    def hold(self, condition: Condition) -> bool:
        """Whether a condition on the user holds; one on a segment that does not exist never does."""
        if condition.name != SEGMENT_NAME:
            own = Condition(condition.name.removeprefix(PREFIX), condition.any_of)
            return satisfies((own,), self.attributes)
        names = [name for name in condition.any_of if isinstance(name, str) and name in self.segments]
        return any(satisfies(self.segments[name], self.attributes) for name in names)


def _satisfies(part: Condition | Not | Or, attributes: Mapping[str, Any]) -> bool:
    if isinstance(part, Not):
        return not satisfies(part.operand, attributes)
    if isinstance(part, Or):
        return any(satisfies(alternative, attributes) for alternative in part.alternatives)
    value = attributes.get(part.name)
    return value is not None and any(_equals(as_text(value), choice) for choice in part.any_of)


def _equals(text: str, choice: str | Between) -> bool:
    return choice.low <= number_of(text) <= choice.high if isinstance(choice, Between) else text == choice
