"""Dead letters: what their routes take and answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from serving.schemas.base import Schema
from serving.schemas.openapi import document, limit_parameter


class DeadLetterOut(Schema):
    """Input that could not be applied."""

    key: int
    source: str
    """A topic, or a file."""
    partition: int
    offset: int
    """In a file: the line."""
    reason: str
    retries: int
    """How many retries have failed."""
    time: int
    payload: str | None = None
    payload_base64: str | None = None
    """Instead of `payload` where it is not UTF-8."""
    retryable: bool
    """Whether this API can decode it again. Input of a file is imported again from the file."""


class DeadLettersOut(Schema):
    """The newest dead letters."""

    total: int
    dead_letters: list[DeadLetterOut]


class DeadLetterKeys(Schema):
    """Which dead letters: their keys, or all."""

    keys: list[int] | None = Field(default=None, min_length=1, max_length=10_000)
    all: Literal[True] | None = None


class RetryOut(Schema):
    """The outcome of a retry."""

    retried: int
    succeeded: int
    """Dead letters that were deleted, because all their events are applied."""
    accepted: int
    """Events that were new."""
    failed: int
    failures: list[DeadLetterOut]
    """Those that remain, with their new reasons; at most 100."""


class DiscardOut(Schema):
    """The dead letters were deleted."""

    discarded: int


_TAG = "operations"
_KEYS = {"some": {"keys": [7, 8]}, "all of them": {"all": True}}

GET_DEAD_LETTERS = document(DeadLettersOut, tag=_TAG, parameters=(limit_parameter(),))
POST_RETRY = document(RetryOut, tag=_TAG, bodies=(DeadLetterKeys,), examples=_KEYS)
POST_DISCARD = document(DiscardOut, tag=_TAG, bodies=(DeadLetterKeys,), examples=_KEYS)
