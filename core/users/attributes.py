"""Attributes of users, such as country and plan: parsed from JSON. Independent of storage and HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from core.catalogue.items import MAX_ATTRIBUTES, parse_attributes
from core.errors import InvalidInput
from core.events.interactions import check_id, field_name, shorten

SEGMENT = "segment"
USER_FIELDS = ("user_id", "attributes")


class UserAttributes(NamedTuple):
    """A user's attributes. In a patch, those to change: None removes one."""

    user_id: str
    attributes: Mapping[str, Any]


def parse_user(raw: object) -> UserAttributes:
    """A decoded JSON object; raises `InvalidInput`, whose message begins with the invalid field."""
    if not isinstance(raw, Mapping):
        msg = f"user: wanted a JSON object, got {shorten(raw)}"
        raise InvalidInput(msg, field="user")
    unknown = next((name for name in raw if name not in USER_FIELDS), None)
    if unknown is not None:
        msg = f"{shorten(unknown)}: unknown field; known are {', '.join(USER_FIELDS)}; put others in attributes"
        raise InvalidInput(msg, field=field_name(unknown))
    attributes = parse_attributes(raw.get("attributes"))
    if SEGMENT in attributes:
        msg = f"attributes.{SEGMENT}: wanted another name; user.{SEGMENT} in a filter means the segments of the user"
        raise InvalidInput(msg, field=f"attributes.{SEGMENT}")
    return UserAttributes(check_id("user_id", raw.get("user_id")), attributes)


def present(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def merged_attributes(own: Mapping[str, Any], gained: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a user with those of a merged one, as many as a user may have; of one that both have the own stays."""
    both = {**own, **{name: value for name, value in gained.items() if name not in own}}
    return dict(list(both.items())[:MAX_ATTRIBUTES])
