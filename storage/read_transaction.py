"""The consistent snapshot for reading: `core.ports.ReadTransaction` over one session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.sql.elements import CompilerElement

from core.history import IntArray
from core.items import Catalogue
from core.ports import (
    DeadLetter,
    EventColumns,
    EventRow,
    FloatArray,
    LeaseRecord,
    ModelRecord,
    Promotion,
    StoredItem,
    StoreTotals,
    UserState,
    WriterPosition,
)
from storage import tables
from storage.dialects import Dialect
from storage.repositories import dead_letters as letters
from storage.repositories import event_outcomes as fates
from storage.repositories import events, items, leases, models, users, vectors
from storage.repositories import offsets as writers
from storage.repositories.drift import SqlDriftReads
from storage.session import Session

SECRET = "erasure_secret"  # noqa: S105 - the name of the fact, not the secret


def _totals(dialect: Dialect) -> CompilerElement:
    item = tables.items.c
    listed = select(func.count()).where(item.in_catalogue, item.hidden.is_(False)).scalar_subquery()
    num_users, num_items, num_events, num_letters = (
        select(func.count()).select_from(table).scalar_subquery()
        for table in (tables.users, tables.items, tables.interactions, tables.dead_letters)
    )
    return select(num_users, num_items, listed, num_events, num_letters)


class SqlReadTransaction:
    """One snapshot; `core.ports` says what each method promises."""

    def __init__(self, session: Session, secret: bytes) -> None:
        self._session = session
        self._secret = secret
        self.drift = SqlDriftReads(session)

    def user(self, user_id: str) -> UserState | None:
        """One user's state."""
        return users.find(self._session, user_id)

    def users(self, keys: Sequence[int]) -> list[UserState]:
        """The states of users by their keys."""
        return users.by_key(self._session, keys)

    def list_users(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        """Users in ascending id."""
        return users.listing(self._session, prefix=prefix, after=after, limit=limit)

    def history_page(self, user_key: int, *, before: tuple[int, int], limit: int = 100) -> list[EventRow]:
        """The newest events of a user."""
        return events.history_page(self._session, user_key, before=before, limit=limit)

    def item_keys_of(self, user_key: int, *, type_codes: Sequence[int]) -> IntArray:
        """The distinct keys of items with which a user had events of these types."""
        return events.item_keys(self._session, user_key, type_codes=type_codes)

    def events_of(
        self, user_key: int, *, type_codes: Sequence[int], limit: int, before: tuple[int, int] | None = None
    ) -> list[EventRow]:
        """A user's newest events of these types, in history order."""
        return events.newest_rows(self._session, user_key, type_codes=type_codes, limit=limit, before=before)

    def events_by_key(self, event_keys: Sequence[bytes]) -> dict[bytes, EventRow]:
        """Stored events by their keys."""
        return events.by_key(self._session, event_keys)

    def event_seqs(self, event_keys: Sequence[bytes]) -> dict[bytes, int]:
        """The user sequence of each of these events that is stored."""
        return fates.event_seqs(self._session, event_keys)

    def erased(self, user_ids: Sequence[str]) -> dict[str, int]:
        """When these users were erased, for those who ever were."""
        found = users.find_erasures(self._session, self._secret, user_ids)
        return {user_id: erased_ms for user_id, (erased_ms, _) in found.items()}

    def vector(self, state: UserState, *, version: str, binding: str) -> FloatArray | None:
        """The stored vector of a user at exactly this state and binding."""
        return vectors.find(self._session, state, version=version, binding=binding)

    def items(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        """Items by integer key."""
        return items.by_key(self._session, keys)

    def items_by_id(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id."""
        return items.by_id(self._session, item_ids)

    def list_items(self, *, after: str = "", limit: int = 100) -> list[StoredItem]:
        """Catalogue items in ascending id."""
        return items.listing(self._session, after=after, limit=limit)

    def catalogue(self, *, stubs: bool = False) -> Catalogue:
        """All items in columns."""
        return items.catalogue(self._session, stubs=stubs)

    def revision(self) -> int:
        """The revision of the newest change of a catalogue item."""
        return items.revision(self._session)

    def newest_item_key(self) -> int:
        """The highest item key given so far."""
        return items.newest_key(self._session)

    def popularity(self) -> tuple[IntArray, NDArray[np.float64]]:
        """Item keys and their decayed log2 counts, joined over all writers."""
        return writers.all_scores(self._session)

    def newest_event_ms(self) -> int | None:
        """The highest event time applied."""
        return writers.newest_event_ms(self._session)

    def events(
        self, *, type_codes: Sequence[int], before_ms: int | None = None, since_ms: int | None = None
    ) -> EventColumns:
        """All events of these types in columns."""
        return events.all_columns(self._session, type_codes=type_codes, before_ms=before_ms, since_ms=since_ms)

    def num_events(self, *, type_codes: Sequence[int], since_ms: int) -> int:
        """About how many events of these types there are from a time on."""
        return writers.num_events(self._session, type_codes=type_codes, since_ms=since_ms)

    def iter_events(self, *, chunk: int = 50_000) -> Iterator[list[EventRow]]:
        """All events in history order, `chunk` at a time."""
        return events.pages(self._session, chunk=chunk)

    def applied_offsets(self, stream: str) -> dict[int, int]:
        """The applied offset of each partition of a stream."""
        return writers.applied_offsets(self._session, stream)

    def writers(self) -> list[WriterPosition]:
        """Every writer and how far it has got."""
        return writers.positions(self._session)

    def num_counted(self, *, since_ms: int) -> int:
        """How many events the monitoring counts hold since a time."""
        return writers.num_counted(self._session, since_ms=since_ms)

    def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters."""
        return letters.newest(self._session, limit=limit)

    def oldest_dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters in ascending key after one."""
        return letters.oldest(self._session, after=after, limit=limit)

    def num_dead_letters(self) -> int:
        """How many dead letters are kept."""
        return letters.total(self._session)

    def totals(self) -> StoreTotals:
        """How much the store holds."""
        rows = self._session.rows(_totals)
        return StoreTotals(*rows[0])

    def models(self) -> list[ModelRecord]:
        """All models, newest first."""
        return models.newest(self._session)

    def promotions(self) -> list[Promotion]:
        """All changes of the model that serves, newest first."""
        return models.all_promotions(self._session)

    def champion(self) -> ModelRecord | None:
        """The model that serves."""
        return models.champion(self._session)

    def lease(self, role: str) -> LeaseRecord | None:
        """Who held this role last."""
        return leases.find(self._session, role)

    def meta(self) -> dict[str, str]:
        """Facts about the database itself, without its secret."""
        return {name: value for name, value in models.facts(self._session).items() if name != SECRET}
