"""The data of `doubles.MemoryStore`. Transactions work on a copy; readers keep the data they began with."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.arrays import FloatArray
from core.records.api_keys import ApiKey
from core.records.drift import Alarm, Bucket, BucketCounts, Point, SampledEvent, Score
from core.records.item_counts import ItemCountKey
from core.records.outcomes import Origin, Outcome, StoredAnswer
from core.records.stored import (
    AuditEntry,
    DeadLetter,
    DefinitionRevision,
    EventRow,
    LeaseRecord,
    ModelRecord,
    Promotion,
    StoredItem,
    UserShift,
    UserState,
    WriterOffset,
)
from core.transitions.transition import Transition


def user_hash(user_id: str) -> bytes:
    return hashlib.blake2b(user_id.encode(), key=b"a test's secret", digest_size=16).digest()


def origin_of(dead_letter: DeadLetter) -> tuple[str, int, int, bytes]:
    return dead_letter.source, dead_letter.partition, dead_letter.offset, dead_letter.payload


def history_order(row: EventRow) -> tuple[int, int, int]:
    return row.user_key, row.time_ms, row.user_seq


@dataclass
class DriftData:
    """What the drift tables hold."""

    counts: dict[tuple[int, int], BucketCounts] = field(default_factory=dict)  # (bucket, writer)
    samples: dict[bytes, SampledEvent | Score] = field(default_factory=dict)
    buckets: dict[int, Bucket] = field(default_factory=dict)
    points: dict[tuple[str, str, int], Point] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    created_ms: dict[int, int | None] = field(default_factory=dict)  # of items by key
    topics: dict[str, int] = field(default_factory=dict)  # codes by name
    topic_of: dict[int, int] = field(default_factory=dict)  # items' codes by key

    def __copy__(self) -> DriftData:
        return DriftData(**{name: dict(value) for name, value in vars(self).items()})


@dataclass
class Data:
    """All data of a store."""

    users: dict[str, UserState] = field(default_factory=dict)
    shifts: dict[int, UserShift] = field(default_factory=dict)  # by user key
    merged: dict[str, tuple[str, UserState]] = field(default_factory=dict)  # id -> (the user's id, own state)
    erased: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # hash -> (erased_ms, last_seq)
    user_attributes: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # by user key
    items: dict[str, StoredItem] = field(default_factory=dict)
    events: dict[bytes, EventRow] = field(default_factory=dict)
    undone: dict[bytes, EventRow] = field(default_factory=dict)
    writers: dict[tuple[str, int], WriterOffset] = field(default_factory=dict)
    lags: dict[tuple[int, str, int], int] = field(default_factory=dict)  # (bucket, stream, partition)
    scores: dict[tuple[int, int], float] = field(default_factory=dict)  # (writer, item) -> decayed log2 count
    popularity_log: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)  # (key, writer, items)
    transitions: list[tuple[int, int, tuple[Transition, ...]]] = field(default_factory=list)  # (key, writer, rows)
    counts: dict[tuple[int, int, int], int] = field(default_factory=dict)  # (bucket, writer, type) -> events
    origins: dict[Origin, int] = field(default_factory=dict)
    answers: dict[bytes, StoredAnswer] = field(default_factory=dict)
    items_shown: set[tuple[int, int, int]] = field(default_factory=set)  # (day, origin, item)
    outcomes: set[Outcome] = field(default_factory=set)
    outcome_counts: dict[tuple[int, int, int, int, int], tuple[int, float]] = field(default_factory=dict)
    item_counts: dict[ItemCountKey, int] = field(default_factory=dict)
    deferred: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)  # event -> (answer, deferred_ms)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    models: dict[str, ModelRecord] = field(default_factory=dict)
    promotions: list[Promotion] = field(default_factory=list)
    scenarios: list[DefinitionRevision] = field(default_factory=list)
    experiments: list[DefinitionRevision] = field(default_factory=list)
    segments: list[DefinitionRevision] = field(default_factory=list)
    leases: dict[str, LeaseRecord] = field(default_factory=dict)
    activity: dict[tuple[int, int, int], int] = field(default_factory=dict)  # (start, kind, bucket) -> requests
    audit: list[AuditEntry] = field(default_factory=list)
    keys: list[ApiKey] = field(default_factory=list)
    vectors: dict[tuple[int, str], tuple[str, int, FloatArray]] = field(default_factory=dict)  # (user, version)
    meta: dict[str, str] = field(default_factory=dict)
    drift: DriftData = field(default_factory=DriftData)
    content_revisions: dict[int, int] = field(default_factory=dict)  # of items by key
    revision: int = 0
    last_key: int = 0

    def copy(self) -> Data:
        return Data(**{name: copy.copy(value) for name, value in vars(self).items()})

    def next_key(self) -> int:
        self.last_key += 1
        return self.last_key

    def user_id(self, key: int) -> str:
        return next(user_id for user_id, state in self.users.items() if state.key == key)


class MemoryRepository:
    """Base class: the repositories of a transaction share its data."""

    def __init__(self, data: Data) -> None:
        self.data = data
