"""The records that pass through the ports: plain values, as stored. Independent of storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from core.arrays import BoolArray, IntArray
from core.catalogue.items import Item
from core.events.history import EMPTY_WINDOW, Window


class UserVersion(NamedTuple):
    """What tells one state of a user from another. `newest_ms`: of the window's newest event; None without one."""

    key: int
    seq: int
    newest_ms: int | None


class KnownId(NamedTuple):
    """Which user an id means: the user's key and own id, and when the id itself was erased; None if never."""

    user_key: int
    own_id: str
    erased_ms: int | None


@dataclass(frozen=True, slots=True)
class UserState:
    """A stored user: integer key, sequence number of the newest event, window.

    `erased_ms`: when the user was last erased; None if never.
    """

    key: int
    seq: int = 0
    window: Window = EMPTY_WINDOW
    erased_ms: int | None = None

    @property
    def version(self) -> UserVersion:
        """Of this state."""
        return UserVersion(self.key, self.seq, self.window.last_time_ms)


class UserShift(NamedTuple):
    """The newest test of a user's interest: since when (ms) and how far, 0 to 1, it shifted; None where it did not."""

    user_key: int
    since_ms: int | None
    distance: float | None


class ListedUser(NamedTuple):
    """A user in a list. `newest_ms`: of the window's newest event; None without one. `shift_*`: see `UserShift`."""

    key: int
    user_id: str
    seq: int
    newest_ms: int | None
    shift_ms: int | None
    shift_distance: float | None


@dataclass(frozen=True, slots=True)
class UserSnapshot:
    """What an answer needs of a user at one moment.

    `item_types`: (n, 2) item keys and type codes of the events of the requested types, in history order.
    """

    state: UserState
    item_types: IntArray


@dataclass(frozen=True, slots=True)
class WriterOffset:
    """The applied offset and newest event time of a writer (a partition, or the requests of a process)."""

    key: int
    applied_offset: int | None
    newest_ms: int | None


@dataclass(frozen=True, slots=True)
class DefinitionRevision:
    """One change of a scenario or an experiment. `definition`: JSON values, None: deleted."""

    revision: int
    name: str
    definition: Mapping[str, Any] | None
    author: str
    time_ms: int


class EventRow(NamedTuple):
    """A stored interaction, fields in the order of the columns. A tuple, because imports create millions."""

    event_key: bytes
    user_key: int
    item_key: int
    type_code: int
    time_ms: int
    user_seq: int
    value: float | None
    context: Mapping[str, Any] | None
    recommendation_id: str | None


MANY_EVENTS = 1_000  # from here on, events are counted by columns; fewer by rows, which takes less time for them


def event_column(rows: Sequence[EventRow], name: str) -> IntArray:
    """(n,) a field of events that is an integer."""
    return np.fromiter(map(attrgetter(name), rows), np.int64, len(rows))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Input that could not be applied, with the reason and its position (source, partition, offset)."""

    source: str
    partition: int
    offset: int  # in a file: the line number
    reason: str
    payload: bytes
    time_ms: int
    key: int | None = None  # assigned by the store
    num_retries: int = 0  # failed ones


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as stored. `in_catalogue`: False for an uncatalogued item, which only events have named."""

    key: int
    item: Item
    in_catalogue: bool
    revision: int
    updated_ms: int

    def listed(self, *, include_uncatalogued: bool) -> bool:
        """Whether it can be recommended while available; `include_uncatalogued`: also if not in the catalogue."""
        return self.exclusion(include_uncatalogued=include_uncatalogued) is None and self.item.availability.is_in_stock

    def exclusion(self, *, include_uncatalogued: bool) -> str | None:
        """Why it can never be recommended; None if it can while it is available."""
        if self.item.hidden:
            return "hidden" if self.in_catalogue else "removed from the catalogue"
        return None if self.in_catalogue or include_uncatalogued else "not in the catalogue"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A trained model. `path`: of its files, empty after they were deleted.

    `status`: see `core.records.statuses.ModelStatus`. `lineage`: parent, data, metrics, verdicts.
    """

    version: str
    path: str
    status: str
    created_ms: int
    lineage: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the API and the command line."""
        fields = {"version": self.version, "status": self.status, "created": self.created_ms}
        return {**fields, "available": bool(self.path), "lineage": dict(self.lineage)}


@dataclass(frozen=True, slots=True)
class Promotion:
    """A change of the serving model. `previous`: the version that served before, None for popularity.

    `kind`: "promotion", or "rollback" to a version that had served before.
    """

    version: str
    previous: str | None
    kind: str
    decided_by: str
    reason: str
    time_ms: int

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the API and the command line."""
        fields = {"version": self.version, "previous": self.previous, "kind": self.kind}
        return {**fields, "decided_by": self.decided_by, "reason": self.reason, "time": self.time_ms}


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A role that only one process may hold at a time.

    `token`: the fencing token, increases with each lease. `expires_ms`: by the store's clock.
    """

    role: str
    holder: str
    token: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Windowed events in columns, sorted by (user, time, sequence): the input of training.

    `users`, `items`: (n,) integer keys; `times_ms`: (n,) event times.
    """

    users: IntArray
    items: IntArray
    times_ms: IntArray

    def __len__(self) -> int:
        return len(self.users)

    def where(self, kept: BoolArray | IntArray) -> EventColumns:
        """The events selected by an (n,) mask or by indices."""
        return EventColumns(self.users[kept], self.items[kept], self.times_ms[kept])

    def repeats(self) -> BoolArray:
        """(n,) whether the user had an earlier event with the same item."""
        order = np.lexsort((np.arange(len(self)), self.items, self.users))
        same = (np.diff(self.users[order], prepend=-1) == 0) & (np.diff(self.items[order], prepend=-1) == 0)
        repeats = np.zeros(len(self), np.bool_)
        repeats[order] = same
        return repeats


@dataclass(frozen=True, slots=True)
class WriterPosition:
    """A writer with its name: a partition of a stream, or the requests of a process (without an offset)."""

    stream: str
    partition: int
    applied_offset: int | None
    newest_ms: int | None


@dataclass(frozen=True, slots=True)
class StoreTotals:
    """Numbers of what is stored; users that were merged into another are not counted.

    `listed_items`: those of the catalogue that are in stock and not hidden, whatever their limits in time.
    """

    users: int
    items: int
    listed_items: int
    events: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A change by hand. `key`: assigned by the store, ascending; None before."""

    time_ms: int
    actor: str
    action: str
    target: str
    key: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the API and the command line."""
        fields = {"key": self.key, "time": self.time_ms, "actor": self.actor}
        return {**fields, "action": self.action, "target": self.target}
