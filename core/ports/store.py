"""The ports of a database: a store and its transactions, which expose one repository per kind of data.

Every method of a repository is set-based: a fixed number of statements for any number of rows. Transactions take
locks in the order given in docs/architecture.md#the-life-of-an-event, which prevents deadlock.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from core.ports.activity import ActivityReader, ActivityRepository
from core.ports.arms import ArmReader
from core.ports.audit import AuditReader, AuditRepository
from core.ports.dead_letters import DeadLetterReader, DeadLetterRepository
from core.ports.definitions import DefinitionReader, DefinitionRepository
from core.ports.drift import DriftReader, DriftRepository
from core.ports.events import EventReader, EventRepository
from core.ports.item_counts import ItemCountReader, ItemCountRepository
from core.ports.items import ItemReader, ItemRepository
from core.ports.keys import KeyReader, KeyRepository
from core.ports.leases import LeaseReader, LeaseRepository
from core.ports.metadata import MetadataReader, MetadataRepository
from core.ports.models import ModelReader, ModelRepository
from core.ports.offsets import OffsetReader, OffsetRepository
from core.ports.outcomes import AnswerReader, AnswerRepository, OutcomeReader, OutcomeRepository
from core.ports.popularity import EventCountReader, EventCountRepository, PopularityReader, PopularityRepository
from core.ports.transitions import TransitionReader, TransitionRepository
from core.ports.user_attributes import UserAttributeReader, UserAttributeRepository
from core.ports.users import UserReader, UserRepository
from core.ports.vectors import VectorReader, VectorRepository
from core.records.stored import StoreTotals


class ReadTransaction(Protocol):
    """Reads from one snapshot, unless opened without."""

    users: UserReader
    user_attributes: UserAttributeReader
    items: ItemReader
    events: EventReader
    offsets: OffsetReader
    popularity: PopularityReader
    event_counts: EventCountReader
    transitions: TransitionReader
    answers: AnswerReader
    outcomes: OutcomeReader
    item_counts: ItemCountReader
    arms: ArmReader
    dead_letters: DeadLetterReader
    models: ModelReader
    scenarios: DefinitionReader
    experiments: DefinitionReader
    segments: DefinitionReader
    leases: LeaseReader
    keys: KeyReader
    activity: ActivityReader
    audit: AuditReader
    vectors: VectorReader
    drift: DriftReader
    metadata: MetadataReader

    def totals(self) -> StoreTotals:
        """The numbers of users, items, events and dead letters, counted: slow with many events."""
        ...


class Transaction(ReadTransaction, Protocol):
    """A write transaction; reads see its own changes."""

    users: UserRepository
    user_attributes: UserAttributeRepository
    items: ItemRepository
    events: EventRepository
    offsets: OffsetRepository
    popularity: PopularityRepository
    event_counts: EventCountRepository
    transitions: TransitionRepository
    answers: AnswerRepository
    outcomes: OutcomeRepository
    item_counts: ItemCountRepository
    dead_letters: DeadLetterRepository
    models: ModelRepository
    scenarios: DefinitionRepository
    experiments: DefinitionRepository
    segments: DefinitionRepository
    leases: LeaseRepository
    keys: KeyRepository
    activity: ActivityRepository
    audit: AuditRepository
    vectors: VectorRepository
    drift: DriftRepository
    metadata: MetadataRepository

    def pipelined(self) -> AbstractContextManager[None]:
        """A block whose writes need not wait for the database.

        The error of one may be raised by a later call in the block, or at its end; so may that of a commit.
        """
        ...

    def commit(self) -> None:
        """Commit. Without it, leaving the `with` block rolls everything back."""
        ...


class Store(Protocol):
    """A database."""

    @property
    def is_embedded(self) -> bool:
        """Whether this process reads a file itself, so that a small query takes microseconds and waits for nobody."""
        ...

    @property
    def others_wait(self) -> bool:
        """Whether another process waited for this one's newest write transaction to end, or may have waited."""
        ...

    @property
    def held_s(self) -> float:
        """Seconds for which this process's newest write transaction kept all others waiting; 0 where it kept none."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A write transaction; rolled back unless committed. Raises `StoreUnavailable`."""
        ...

    def read(self, *, snapshot: bool = True) -> AbstractContextManager[ReadTransaction]:
        """A transaction for reading; never blocked by writers.

        With `snapshot=False` each query sees the newest committed data (autocommit), at a third of the cost.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
