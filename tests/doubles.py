"""A store in memory for unit tests, without I/O.

The contract suite runs over it and over the real databases, so that results of unit tests hold for those too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from memory_store.activity import MemoryActivity
from memory_store.arms import MemoryArms
from memory_store.audit import MemoryAudit
from memory_store.data import Data
from memory_store.dead_letters import MemoryDeadLetters
from memory_store.definitions import MemoryDefinitions
from memory_store.drift import MemoryDrift
from memory_store.events import MemoryEvents
from memory_store.item_counts import MemoryItemCounts
from memory_store.items import MemoryItems
from memory_store.keys import MemoryKeys
from memory_store.leases import MemoryLeases
from memory_store.metadata import MemoryMetadata
from memory_store.models import MemoryModels
from memory_store.offsets import MemoryOffsets
from memory_store.outcomes import MemoryAnswers, MemoryOutcomes
from memory_store.popularity import MemoryEventCounts, MemoryPopularity
from memory_store.transitions import MemoryTransitions
from memory_store.user_attributes import MemoryUserAttributes
from memory_store.users import MemoryUsers
from memory_store.vectors import MemoryVectors

from core.ports.store import Transaction
from core.records.stored import StoreTotals


class MemoryTransaction(Transaction):
    """`core.ports.store.Transaction` over data that no other transaction changes."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.committed = False
        self.users = MemoryUsers(data)
        self.user_attributes = MemoryUserAttributes(data)
        self.items = MemoryItems(data)
        self.events = MemoryEvents(data)
        self.offsets = MemoryOffsets(data)
        self.popularity = MemoryPopularity(data)
        self.event_counts = MemoryEventCounts(data)
        self.transitions = MemoryTransitions(data)
        self.answers = MemoryAnswers(data)
        self.outcomes = MemoryOutcomes(data)
        self.item_counts = MemoryItemCounts(data)
        self.arms = MemoryArms(data)
        self.dead_letters = MemoryDeadLetters(data)
        self.models = MemoryModels(data)
        self.keys = MemoryKeys(data)
        self.activity = MemoryActivity(data)
        self.audit = MemoryAudit(data)
        self.scenarios = MemoryDefinitions(data.scenarios)
        self.experiments = MemoryDefinitions(data.experiments)
        self.segments = MemoryDefinitions(data.segments)
        self.leases = MemoryLeases(data)
        self.vectors = MemoryVectors(data)
        self.drift = MemoryDrift(data)
        self.metadata = MemoryMetadata(data)

    def totals(self) -> StoreTotals:
        stored = self.data.items.values()
        listed = sum(item.listed(include_uncatalogued=False) for item in stored)
        return StoreTotals(
            len(self.data.users), len(stored), listed, len(self.data.events), len(self.data.dead_letters)
        )

    def pipelined(self) -> AbstractContextManager[None]:
        return nullcontext()

    def commit(self) -> None:
        self.committed = True


class MemoryStore:
    """`core.ports.store.Store` in memory: one writer at a time, readers on immutable snapshots."""

    is_embedded = True
    others_wait = False
    held_s = 0.0

    def __init__(self) -> None:
        self._data = Data()
        self._writer = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with self._writer:
            transaction = MemoryTransaction(self._data.copy())
            yield transaction
            if transaction.committed:
                self._data = transaction.data

    @contextmanager
    def read(self, *, snapshot: bool = True) -> Iterator[MemoryTransaction]:
        yield MemoryTransaction(self._data)

    def copy(self) -> MemoryStore:
        """A store of its own with the same data."""
        copied = MemoryStore()
        copied._data = self._data.copy()
        return copied

    def close(self) -> None:
        """Nothing to close."""
