"""Recommend: answer who should see what, from a pinned snapshot and the user's state as of now.

Every answer is checked against the items as they are stored at that moment, so that an item which was hidden, removed,
disliked or seen an instant ago is not in it. Knows nothing about HTTP or about how vectors are made.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.clock import Clock
from core.errors import NotFound
from core.history import EMPTY_HISTORY, EMPTY_WINDOW, History, Window, WindowShape, append
from core.interactions import EventTypes
from core.ports.store import ReadTransaction, Store
from core.recommendation.explain import Cause, causes_of
from core.recommendation.rankers import ModelRanker, PopularityRanker, Ranker, RecencyRanker, SimilarityRanker
from core.recommendation.repeat_scores import RepeatScores
from core.recommendation.requests import Answer, Contribution, RecommendationRequest, ScoredItem, SessionEvent
from core.recommendation.snapshot import BoundModel, ServingSnapshot
from core.recommendation.trends import Trends
from core.recommendation.user_encoder import UserEncoder
from core.recommendation.vector_cache import VectorCache
from core.records import StoredItem, UserState

SPARE = 8  # answers asked of the index beyond n, for those that the final check takes out


class Recommender:
    """Answers queries. Safe to use from several threads; holds no state but a cache of vectors."""

    def __init__(
        self,
        store: Store,
        *,
        snapshots: Callable[[], ServingSnapshot],
        clock: Clock,
        types: EventTypes,
        shape: WindowShape,
        vectors: VectorCache,
        stubs: bool = False,
        shared: bool = False,
    ) -> None:
        """`stubs`: items need no catalogue. `shared`: other processes encode too (see `UserEncoder`)."""
        self._store = store
        self._snapshots = snapshots
        self._clock = clock
        self._types = types
        self._shape = shape
        self._users = UserEncoder(store, cache=vectors, shared=shared)
        self._stubs = stubs

    def recommend(self, user_id: str, wish: RecommendationRequest) -> Answer:
        """The next items for a user; popularity, with the reason, for one without a history."""
        snapshot = self._snapshots()
        with self._store.read() as read:
            state = read.users.find(user_id)
            now_ms, gap_ms = self._now(wish, state.window.history if state else EMPTY_HISTORY)
            basis = self._basis_for(read, snapshot, state, gap_ms)
            items = self._pick(read, snapshot, basis, self._allowed(read, snapshot, wish, state), wish.n)
            if wish.explain:
                history = state.window.history if state else EMPTY_HISTORY
                items = self._explained(read, snapshot, items, history, now_ms)
        return _answer(basis, items, now_ms, seq=state.seq if state else None, gap_ms=gap_ms)

    def recommend_session(
        self, events: Sequence[SessionEvent], wish: RecommendationRequest, *, user_id: str | None = None
    ) -> Answer:
        """The next items for a session given inline and not remembered.

        With a user: what they would be shown if these events came now, after their history.
        """
        snapshot = self._snapshots()
        with self._store.read() as read:
            state = None if user_id is None else read.users.find(user_id)
            session = self._session(read, events)
            history = _continued(state.window if state else EMPTY_WINDOW, session, self._shape)
            now_ms, gap_ms = self._now(wish, history)
            if snapshot.model is not None and len(history):
                query = _query(snapshot.model, snapshot.model.encoder.encode([history]), gap_ms)
                reason = "ranked by the session" if state is None else "ranked by the user's history and the session"
                repeated = RepeatScores.of(snapshot.model.encoder, snapshot.catalogue, history)
                basis: Ranker = ModelRanker(snapshot.model, query, reason, repeated)
            else:
                basis = PopularityRanker(
                    snapshot, "no model is trained yet" if len(history) else "the session is empty"
                )
            allowed = self._allowed(read, snapshot, wish, state)
            if wish.exclude_seen:
                _forbid(allowed, snapshot.catalogue.rows(session.items))
            items = self._pick(read, snapshot, basis, allowed, wish.n)
            if wish.explain:
                items = self._explained(read, snapshot, items, history, now_ms)
        return _answer(basis, items, now_ms, seq=state.seq if state else None, gap_ms=gap_ms)

    def rank(self, user_id: str, item_ids: Sequence[str], *, at_ms: int | None = None) -> Answer:
        """The given items, best first for this user. Unknown, hidden and removed ones are named in `left_out`."""
        snapshot = self._snapshots()
        with self._store.read() as read:
            stored = read.items.by_id(sorted(set(item_ids)))
            state = read.users.find(user_id)
            now_ms, gap_ms = self._now(
                RecommendationRequest(at_ms=at_ms), state.window.history if state else EMPTY_HISTORY
            )
            basis = self._basis_for(read, snapshot, state, gap_ms)
        listed = [one for one in dict.fromkeys(item_ids) if one in stored and stored[one].listed(stubs=self._stubs)]
        rows = snapshot.catalogue.rows(np.array([stored[one].key for one in listed], np.int64))
        rows = rows[rows >= 0]
        scores = basis.scores(rows)
        order = np.argsort(-scores, kind="stable")
        shown = [snapshot.catalogue.item_ids[row] for row in rows.tolist()]
        titles = {item_id: stored[item_id].item.title for item_id in shown}
        items = tuple(_scored(snapshot, row, titles, score) for row, score in _pairs(rows[order], scores[order]))
        left_out = tuple(one for one in dict.fromkeys(item_ids) if one not in titles)
        seq = state.seq if state else None
        return _answer(basis, items, now_ms, seq=seq, gap_ms=gap_ms, left_out=left_out)

    def similar(self, item_id: str, wish: RecommendationRequest) -> Answer:
        """Items most like one (cosine of their vectors); raises `NotFound` for an unknown item."""
        snapshot = self._snapshots()
        with self._store.read() as read:
            stored = read.items.by_id([item_id]).get(item_id)
            if stored is None:
                msg = f"item {item_id!r} is not known; put it into the catalogue first"
                raise NotFound(msg)
            row = int(snapshot.catalogue.rows(np.array([stored.key]))[0])
            if snapshot.model is not None and row >= 0:
                basis: Ranker = SimilarityRanker(snapshot.model, row)
            else:
                reason = "no model is trained yet" if snapshot.model is None else "the item is not indexed yet"
                basis = PopularityRanker(snapshot, reason, stored.item.categories)
            others = np.arange(len(snapshot.catalogue)) != row
            return self._listed(read, snapshot, basis, wish, among=others)

    def popular(self, wish: RecommendationRequest) -> Answer:
        """What is popular lately, in the whole catalogue or in a category."""
        snapshot = self._snapshots()
        with self._store.read() as read:
            return self._listed(read, snapshot, PopularityRanker(snapshot, "time-decayed popularity"), wish)

    def latest(self, wish: RecommendationRequest) -> Answer:
        """What was first heard of last."""
        snapshot = self._snapshots()
        with self._store.read() as read:
            return self._listed(read, snapshot, RecencyRanker(snapshot), wish)

    def trending(self, wish: RecommendationRequest, trends: Trends) -> Answer:
        """What gains most; nothing where nothing does."""
        snapshot = self._snapshots()
        gains, since_ms = trends.gains(snapshot)
        basis = PopularityRanker(replace(snapshot, popularity=gains), _told(since_ms))
        with self._store.read() as read:
            return self._listed(read, snapshot, basis, wish, among=np.isfinite(gains))

    @property
    def num_encoded(self) -> int:
        """How many vectors of users the model has computed here."""
        return self._users.num_encoded

    def warm(self, snapshot: ServingSnapshot) -> int:
        """Encode recently active users under a snapshot that is about to serve."""
        return self._users.warm(snapshot)

    def encode(self, states: Sequence[UserState]) -> int:
        """Encode users whose state changed, so that their next answer need not; returns how many it encoded."""
        return self._users.ahead(self._snapshots(), states)

    def _listed(
        self,
        read: ReadTransaction,
        snapshot: ServingSnapshot,
        basis: Ranker,
        wish: RecommendationRequest,
        *,
        among: BoolArray | None = None,
    ) -> Answer:
        """An answer to nobody in particular, from all rows or only from those that are given."""
        allowed = self._allowed(read, snapshot, wish, None)
        if among is not None:
            allowed &= among
        items = self._pick(read, snapshot, basis, allowed, wish.n)
        return _answer(basis, items, self._now(wish, EMPTY_HISTORY)[0])

    def _basis_for(
        self, read: ReadTransaction, snapshot: ServingSnapshot, state: UserState | None, gap_ms: int | None
    ) -> Ranker:
        if state is None:
            return PopularityRanker(snapshot, "the user is unknown")
        if not len(state.window.history):
            return PopularityRanker(snapshot, "the user has no history")
        if snapshot.model is None:
            return PopularityRanker(snapshot, "no model is trained yet")
        query = _query(snapshot.model, self._users.vector(read, snapshot, snapshot.model, state), gap_ms)
        repeated = RepeatScores.of(snapshot.model.encoder, snapshot.catalogue, state.window.history)
        return ModelRanker(snapshot.model, query, "ranked by the user's history", repeated)

    def _now(self, wish: RecommendationRequest, history: History) -> tuple[int, int | None]:
        now_ms = self._clock.now_ms() if wish.at_ms is None else wish.at_ms
        return now_ms, max(0, now_ms - int(history.times_ms[-1])) if len(history) else None

    def _allowed(
        self, read: ReadTransaction, snapshot: ServingSnapshot, wish: RecommendationRequest, state: UserState | None
    ) -> BoolArray:
        """(n,) which catalogue rows may be answered."""
        catalogue = snapshot.catalogue
        if wish.category is None:
            allowed = catalogue.listed.copy()
        else:
            allowed = np.zeros(len(catalogue), np.bool_)
            inside = catalogue.category_rows.get(wish.category, np.empty(0, np.int64))
            allowed[inside] = catalogue.listed[inside]
        for condition in wish.where:
            holds = np.zeros(len(catalogue), np.bool_)
            holds[catalogue.by_attribute.rows(condition)] = True
            allowed &= holds
        if state is not None:
            flags = ("seen", "hide") if wish.exclude_seen else ("hide",)
            codes = sorted({code for flag in flags for code in self._types.flagged(flag)})
            _forbid(allowed, catalogue.rows(read.events.item_keys(state.key, type_codes=codes)))
        if wish.exclude:
            keys = [stored.key for stored in read.items.by_id(sorted(set(wish.exclude))).values()]
            _forbid(allowed, catalogue.rows(np.array(keys, np.int64)))
        return allowed

    def _pick(
        self, read: ReadTransaction, snapshot: ServingSnapshot, basis: Ranker, allowed: BoolArray, n: int
    ) -> tuple[ScoredItem, ...]:
        """The first n of a ranking that may still be shown by what the store says now."""
        rank = basis.ranking(allowed)
        wanted = n + SPARE
        while True:
            rows, scores = rank(wanted)
            stored = read.items.by_key(snapshot.catalogue.keys[rows].tolist())
            titles = {one.item.item_id: one.item.title for one in stored.values() if one.listed(stubs=self._stubs)}
            picked = [
                _scored(snapshot, row, titles, score)
                for row, score in _pairs(rows, scores)
                if snapshot.catalogue.item_ids[row] in titles
            ]
            if len(picked) >= n or len(rows) < wanted:
                return tuple(picked[:n])
            wanted *= 4

    def _explained(
        self,
        read: ReadTransaction,
        snapshot: ServingSnapshot,
        items: tuple[ScoredItem, ...],
        history: History,
        now_ms: int,
    ) -> tuple[ScoredItem, ...]:
        """The items, each with the events that it leans on."""
        if snapshot.model is None or not items or not len(history):
            return tuple(replace(item, because=()) for item in items)
        stored = read.items.by_id([item.item_id for item in items])
        rows = snapshot.catalogue.rows(np.array([stored[item.item_id].key for item in items], np.int64))
        found = causes_of(snapshot.model.encoder, snapshot.catalogue, history, rows=rows, now_ms=now_ms)
        named = read.items.by_key(sorted({cause.item_key for causes in found for cause in causes}))
        return tuple(
            replace(item, because=tuple(_because(cause, named) for cause in causes if cause.item_key in named))
            for item, causes in zip(items, found, strict=True)
        )

    def _session(self, read: ReadTransaction, events: Sequence[SessionEvent]) -> History:
        """All events of a session by time; an item that nobody knows has key -1."""
        stored = read.items.by_id(sorted({event.item_id for event in events}))
        ordered = sorted(events, key=lambda event: event.time_ms)
        keys = [stored[event.item_id].key if event.item_id in stored else -1 for event in ordered]
        return History(np.array(keys, np.int64), np.array([event.time_ms for event in ordered], np.int64))


def _because(cause: Cause, named: Mapping[int, StoredItem]) -> Contribution:
    item = named[cause.item_key].item
    return Contribution(item.item_id, item.title, cause.time_ms, cause.share)


def _continued(window: Window, session: History, shape: WindowShape) -> History:
    """A window with a session after it; a session that is said to be earlier begins with the window's last event."""
    times_ms = session.times_ms if window.last_time_ms is None else np.maximum(session.times_ms, window.last_time_ms)
    return append(window, session.items, times_ms, shape).history


def _told(since_ms: int | None) -> str:
    if since_ms is None:
        return "nothing is known yet of what gains"
    since = datetime.fromtimestamp(since_ms / 1000, UTC)
    return f"gains since {since:%Y-%m-%d %H:%M} UTC, against all that went before"


def _query(model: BoundModel, vector: FloatArray, gap_ms: int | None) -> FloatArray:
    """(D,): a (1, D) user vector shaped by the gap to now."""
    shaped: FloatArray = model.encoder.query(vector, np.array([gap_ms or 0], np.int64))[0]
    return shaped


def _forbid(allowed: BoolArray, rows: IntArray) -> None:
    allowed[rows[rows >= 0]] = False


def _pairs(rows: IntArray, scores: FloatArray) -> list[tuple[int, float]]:
    return list(zip(rows.tolist(), scores.tolist(), strict=True))


def _scored(snapshot: ServingSnapshot, row: int, titles: dict[str, str], score: float) -> ScoredItem:
    item_id = snapshot.catalogue.item_ids[row]
    return ScoredItem(
        item_id, titles[item_id], snapshot.catalogue.categories[row], score if np.isfinite(score) else None
    )


def _answer(
    basis: Ranker,
    items: tuple[ScoredItem, ...],
    now_ms: int,
    *,
    seq: int | None = None,
    gap_ms: int | None = None,
    left_out: tuple[str, ...] = (),
) -> Answer:
    new_id = secrets.token_hex(12)
    return Answer(new_id, items, basis.source, basis.reason, now_ms, basis.version, seq, gap_ms, left_out)
