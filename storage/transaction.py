"""Transactions: the repositories over a session."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import func, select
from sqlalchemy.sql.elements import CompilerElement

from core.ports.store import Transaction
from core.records.stored import StoreTotals
from storage import tables
from storage.dialects import Dialect
from storage.repositories.activity import ActivityRepository
from storage.repositories.answers import AnswerRepository
from storage.repositories.arms import ArmRepository
from storage.repositories.audit import AuditRepository
from storage.repositories.dead_letters import DeadLetterRepository
from storage.repositories.definitions import EXPERIMENTS, SCENARIOS, SEGMENTS, DefinitionRepository
from storage.repositories.drift import DriftRepository
from storage.repositories.event_counts import EventCountRepository
from storage.repositories.events import EventRepository
from storage.repositories.item_counts import ItemCountRepository
from storage.repositories.items import ItemRepository
from storage.repositories.keys import KeyRepository
from storage.repositories.leases import LeaseRepository
from storage.repositories.metadata import MetadataRepository
from storage.repositories.models import ModelRepository
from storage.repositories.offsets import OffsetRepository
from storage.repositories.outcomes import OutcomeRepository
from storage.repositories.popularity import PopularityRepository
from storage.repositories.transitions import TransitionRepository
from storage.repositories.user_attributes import UserAttributeRepository
from storage.repositories.users import UserRepository
from storage.repositories.vectors import VectorRepository
from storage.session import Session


def _totals(dialect: Dialect) -> CompilerElement:
    item = tables.items.c
    listed = (
        select(func.count())
        .where(item.in_catalogue, item.hidden.is_(False), func.coalesce(item.stock, 1) > 0)
        .scalar_subquery()
    )
    num_users = select(func.count()).where(tables.users.c.merged_into.is_(None)).scalar_subquery()
    num_items, num_events, num_dead_letters = (
        select(func.count()).select_from(table).scalar_subquery()
        for table in (tables.items, tables.interactions, tables.dead_letters)
    )
    return select(num_users, num_items, listed, num_events, num_dead_letters)


class SqlTransaction(Transaction):
    """`core.ports.store.Transaction` over a session, for reading and writing."""

    def __init__(self, session: Session, secret: bytes) -> None:
        """`secret`: the key of the hashes that stand for erased users."""
        self._session = session
        self.users = UserRepository(session, secret)
        self.user_attributes = UserAttributeRepository(session)
        self.items = ItemRepository(session)
        self.events = EventRepository(session)
        self.offsets = OffsetRepository(session)
        self.popularity = PopularityRepository(session)
        self.transitions = TransitionRepository(session)
        self.event_counts = EventCountRepository(session)
        self.answers = AnswerRepository(session)
        self.outcomes = OutcomeRepository(session)
        self.item_counts = ItemCountRepository(session)
        self.arms = ArmRepository(session)
        self.dead_letters = DeadLetterRepository(session)
        self.models = ModelRepository(session)
        self.scenarios = DefinitionRepository(session, SCENARIOS)
        self.experiments = DefinitionRepository(session, EXPERIMENTS)
        self.segments = DefinitionRepository(session, SEGMENTS)
        self.leases = LeaseRepository(session)
        self.keys = KeyRepository(session)
        self.activity = ActivityRepository(session)
        self.audit = AuditRepository(session)
        self.vectors = VectorRepository(session)
        self.drift = DriftRepository(session)
        self.metadata = MetadataRepository(session)

    def totals(self) -> StoreTotals:
        """As `core.ports.store.ReadTransaction.totals`."""
        rows = self._session.rows(_totals)
        return StoreTotals(*rows[0])

    def pipelined(self) -> AbstractContextManager[None]:
        """As `core.ports.store.Transaction.pipelined`."""
        return self._session.pipelined()

    def commit(self) -> None:
        """Commit."""
        self._session.command("COMMIT")
