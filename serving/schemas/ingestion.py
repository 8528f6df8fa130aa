"""Ingestion: what GET /v1/ingestion answers."""

from __future__ import annotations

from serving.schemas.base import Schema
from serving.schemas.openapi import document


class WriterOut(Schema):
    """A writer of events: a partition of a topic, or a process that applies requests or files."""

    name: str
    """The topic, or the kind of writer."""
    partition: int
    applied_offset: int | None
    """Of a partition: the last message applied."""
    newest_event: int | None
    """The newest event time it has applied."""
    log_end_offset: int | None
    """Of a partition: its log end offset."""
    lag: int | None
    """Of a partition: messages not yet applied."""


class IngestionOut(Schema):
    """The progress of ingestion."""

    now: int
    topic: str | None
    """The topic of the event log; null without a log."""
    lag: int | None
    """Messages not yet applied, in all partitions; null without a log, or while it is unavailable."""
    problem: str | None
    """Why the log end offsets are unknown."""
    writers: list[WriterOut]
    waiting_events: int
    """Events and other changes in the queue of this process's writer."""
    waiting_requests: int
    """Requests with `wait=applied` that wait for workers."""
    dead_letters: int


GET_INGESTION = document(IngestionOut, tag="operations")
