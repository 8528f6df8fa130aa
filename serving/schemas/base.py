"""The base class of all schemas, and the one error schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_ID_CHARS = 256  # of one byte each
NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f-\x9f]+$"
MAYBE_EMPTY = r"^[^\x00-\x1f\x7f-\x9f]*$"

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS, pattern=NO_CONTROL_CHARACTERS)]


class Schema(BaseModel):
    """Unknown fields are forbidden; the string below a field is its description."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Problem(Schema):
    """Why a request, or one entry of it, was rejected."""

    code: str
    """A stable word for programs."""
    message: str
    """For people: what was expected, what was received, what to do."""
    field: str | None = None
    """The field at fault."""
    details: list[Any] | None = None
    """For several entries: the problem of each, in the order sent."""


class ErrorReply(Schema):
    """Every failure has this shape."""

    error: Problem
