"""The audit log in answers."""

from __future__ import annotations

from serving.schemas.base import Schema
from serving.schemas.openapi import document, limit_parameter, parameter


class AuditEntryOut(Schema):
    """A change by hand."""

    key: int
    time: int
    """When it was made, ms."""
    actor: str
    """The name of the API key, "local" for an API without keys, or "command line" with the account."""
    action: str
    target: str
    """What was changed, such as item ids; never a user's id."""


class AuditOut(Schema):
    """Changes by hand, newest first."""

    entries: list[AuditEntryOut]
    next_before: int | None
    """`before` of the next page; none after the last."""


_BEFORE = parameter("before", "integer", "Only entries with lower keys.", minimum=1)
GET_AUDIT = document(AuditOut, tag="operations", parameters=(_BEFORE, limit_parameter()))
