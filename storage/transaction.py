"""The write transaction: `core.ports.Transaction` over one session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.history import History
from core.items import Item
from core.ports import DeadLetter, EventRow, FloatArray, LeaseRecord, ModelRecord, Promotion, UserState, WriterOffset
from storage.repositories import dead_letters, drift, events, leases, models, users, vectors
from storage.repositories import items as catalogue
from storage.repositories import offsets as writers
from storage.repositories.drift import SqlDriftWrites
from storage.session import Session


class SqlTransaction:
    """One write transaction; `core.ports` says what each method promises."""

    def __init__(self, session: Session, secret: bytes) -> None:
        self._session = session
        self._secret = secret
        self.open = True
        self.drift = SqlDriftWrites(session)

    def guard(self, lease: LeaseRecord) -> None:
        """Nobody takes this lease until the end."""
        leases.guard(self._session, lease)

    def open_sources(self, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
        """(a) The states of writers, locked."""
        return writers.open_sources(self._session, stream, partitions)

    def save_sources(self, states: Sequence[WriterOffset]) -> None:
        """(a) Store offsets and newest times."""
        writers.save_sources(self._session, states)

    def lock_users(
        self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None
    ) -> dict[str, UserState]:
        """(b) The states of these users, locked."""
        return users.lock(self._session, self._secret, user_ids, unless_erased=unless_erased or {})

    def resolve_items(self, item_ids: Sequence[str], *, now_ms: int | None = None) -> dict[str, int]:
        """The keys of these items; unknown ones become stubs."""
        return catalogue.resolve(self._session, item_ids, now_ms=now_ms)

    def known_events(self, event_keys: Sequence[bytes]) -> set[bytes]:
        """Which of these events are stored already."""
        return events.known(self._session, event_keys)

    def insert_events(self, rows: Sequence[EventRow]) -> None:
        """(c) Store events."""
        events.insert(self._session, rows)

    def newest_events(self, limits: Mapping[int, int], *, type_codes: Sequence[int]) -> dict[int, History]:
        """The newest events of each user."""
        return events.newest(self._session, limits, type_codes=type_codes)

    def save_users(self, states: Sequence[UserState]) -> None:
        """(d) Store sequences and windows."""
        users.save(self._session, states)

    def add_popularity(self, source_key: int, scores: Mapping[int, float]) -> None:
        """(e) Join decayed log2 counts with this writer's."""
        writers.add_scores(self._session, source_key, scores)

    def add_counts(self, source_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        """(e) Add to this writer's counters."""
        writers.add_counts(self._session, source_key, counts)

    def save_vectors(self, states: Sequence[UserState], found: FloatArray, *, version: str, binding: str) -> None:
        """Store vectors of users at their states, where nothing newer is stored."""
        vectors.save(self._session, states, found, version=version, binding=binding)

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep bad input aside."""
        dead_letters.add(self._session, letters)

    def drop_dead_letters(self, keys: Sequence[int]) -> int:
        """Delete dead letters; how many there were."""
        return dead_letters.drop(self._session, keys)

    def update_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Store reasons and numbers of retries of kept letters."""
        dead_letters.refile(self._session, letters)

    def save_items(self, items: Sequence[Item], *, now_ms: int) -> int:
        """Insert or replace catalogue items; the new revision."""
        return catalogue.save(self._session, items, now_ms=now_ms)

    def touch_items(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Put known items under one new revision; the revision."""
        return catalogue.touch(self._session, item_ids, now_ms=now_ms)

    def remove_items(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Take items out of the catalogue; how many were in it."""
        return catalogue.remove(self._session, item_ids, now_ms=now_ms)

    def erase_user(self, user_id: str, *, now_ms: int) -> bool:
        """Delete everything about a user."""
        return users.erase(self._session, self._secret, user_id, now_ms=now_ms)

    def clear_derived(self) -> None:
        """Empty windows, vectors, popularity and counts."""
        users.clear_windows(self._session)
        vectors.clear(self._session)
        writers.clear(self._session)
        drift.clear_counts(self._session)

    def save_model(self, record: ModelRecord) -> None:
        """Store a model; a champion retires the one before."""
        models.save(self._session, record)

    def lock_models(self) -> list[ModelRecord]:
        """All models, newest first, locked."""
        return models.lock(self._session)

    def promotions(self) -> list[Promotion]:
        """All changes of the model that serves, newest first."""
        return models.all_promotions(self._session)

    def add_promotion(self, promotion: Promotion) -> None:
        """Note a change of the model that serves."""
        models.add_promotion(self._session, promotion)

    def drop_vectors(self, version: str) -> None:
        """Delete the vectors of a model version."""
        vectors.drop(self._session, version)

    def take_lease(self, role: str, *, holder: str, ttl_ms: int) -> LeaseRecord | None:
        """A role for some time, or None while another holder has it."""
        return leases.take(self._session, role, holder=holder, ttl_ms=ttl_ms)

    def renew_lease(self, lease: LeaseRecord, *, ttl_ms: int) -> bool:
        """Hold it for longer; False where another has taken it."""
        return leases.renew(self._session, lease, ttl_ms=ttl_ms)

    def release_lease(self, lease: LeaseRecord) -> None:
        """Give it back at once."""
        leases.release(self._session, lease)

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Store facts about the database itself."""
        models.save_facts(self._session, values)

    def commit(self) -> None:
        """Make it so."""
        self._session.command("COMMIT")
        self.open = False
