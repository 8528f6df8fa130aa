"""Kept lists: a cache of users' lists; an entry is used while everything that it was computed from is unchanged.

A list depends on the request, the serving snapshot, the transition counts, which items are listed at the time, and the
user: the sequence number, and the gap to now, in the steps of `Encoder.gap_step`. All of it is compared, so a kept list
is exactly the one that would be computed again. While events arrive, the snapshot changes once a second, and the lists
of the previous one are dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import NamedTuple

from core.arrays import BoolArray
from core.recommendation.requests import RankedList, RecommendationRequest
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.stored import UserVersion

ENTRY_OVERHEAD_BYTES = 500  # the key and the records
ITEM_BYTES = 800  # an item with its reason: 500 bytes, measured with tracemalloc; its JSON in `serving`: 300


class Moment(NamedTuple):
    """What the lists of all users depend on.

    `num_changes`: how often the transition counts have changed, also within a snapshot; `listed`: (N,) whether each
    catalogue row is listed now.
    """

    snapshot: ServingSnapshot
    num_changes: int
    listed: BoolArray

    @classmethod
    def of(cls, snapshot: ServingSnapshot, revision: int, now_ms: int) -> Moment | None:
        """The moment of a request to a snapshot; None where items have changed since the snapshot was built."""
        if revision != snapshot.catalogue.revision:
            return None
        num_changes = snapshot.counts.num_changes if snapshot.counts else 0
        return cls(snapshot, num_changes, snapshot.catalogue.listed_at(now_ms))

    def is_same(self, other: Moment) -> bool:
        """Whether each user's list is the same at both."""
        is_same_snapshot = self.snapshot is other.snapshot and self.num_changes == other.num_changes
        return is_same_snapshot and self.listed is other.listed


class WantedList(NamedTuple):
    """A user's request. `user`: None for an unknown one; `gap_step`: see `Encoder`, 0 where no model ranks."""

    user_id: str
    request: RecommendationRequest
    user: UserVersion | None
    gap_step: int

    def key(self) -> Hashable:
        """The key in the cache, one for all unknown users; None for a list that is not kept."""
        return _key(self.user_id if self.user else "", self.request)

    def version(self) -> tuple[UserVersion | None, int]:
        """What the list depends on beside its key and its moment."""
        return self.user, self.gap_step


class _Entry(NamedTuple):
    version: tuple[UserVersion | None, int]
    ranked: RankedList


class KeptLists:
    """The most recently requested lists of one moment, bounded in bytes; thread-safe."""

    def __init__(self, *, max_mib: float) -> None:
        self._max_bytes = int(max_mib * 2**20)
        self._bytes = 0
        self._moment: Moment | None = None
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def may_hold(self, user_id: str, request: RecommendationRequest) -> bool:
        """Whether a list of this request is kept, of whatever moment."""
        return any((key := _key(name, request)) is not None and key in self._entries for name in (user_id, ""))

    def find(self, moment: Moment | None, wanted: WantedList) -> RankedList | None:
        """The list at this moment; None where it is not kept."""
        key = wanted.key()
        with self._lock:
            if key is None or moment is None or self._moment is None or not self._moment.is_same(moment):
                return None
            entry = self._entries.get(key)
            if entry is None or entry.version != wanted.version():
                return None
            self._entries.move_to_end(key)
            return entry.ranked

    def keep(self, moment: Moment | None, wanted: WantedList, ranked: RankedList) -> None:
        """Keep a list that was computed at this moment."""
        key = wanted.key()
        if key is None or moment is None:
            return
        with self._lock:
            if self._moment is None or not self._moment.is_same(moment):
                self._moment, self._bytes = moment, 0
                self._entries.clear()
            old = self._entries.pop(key, None)
            self._entries[key] = new = _Entry(wanted.version(), ranked)
            self._bytes += _size(new) - (_size(old) if old else 0)
            while self._bytes > self._max_bytes:
                self._bytes -= _size(self._entries.popitem(last=False)[1])


def _key(user_id: str, request: RecommendationRequest) -> Hashable:
    """None for a list that is drawn or needs the exact time."""
    scenario = request.scenario
    if request.at_ms is not None or request.explain or request.pages_of:
        return None
    if scenario is not None and (scenario.exploration is not None or scenario.max_age_ms is not None):
        return None
    filters = request.category, request.where, tuple(request.exclude), request.exclude_seen
    return user_id, request.n, filters, request.reasons, request.model, scenario


def _size(entry: _Entry) -> int:
    return ENTRY_OVERHEAD_BYTES + ITEM_BYTES * len(entry.ranked.items)
