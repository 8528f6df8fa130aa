"""The recommender: ranked items for a user, a session or an item, from a pinned snapshot and the user's current state.

A request reads the user and the item revision by one statement. If items changed after the snapshot was built, the
result is checked against the store, so that it contains no item that is hidden or removed now. Independent of HTTP and
of how vectors are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.filters import Filter
from core.clock import Clock
from core.errors import NotFound
from core.events.hidden_items import NO_KEYS, HiddenItems
from core.events.history import EMPTY_HISTORY, EMPTY_WINDOW, History, WindowShape
from core.events.interactions import EventTypes
from core.ports.store import ReadTransaction, Store
from core.recommendation.explained_items import explained
from core.recommendation.kept_answers import KeptAnswers, answer_of, gap_since, gap_step, pinned
from core.recommendation.kept_lists import KeptLists, Moment, WantedList
from core.recommendation.pages import Selected, next_page, select
from core.recommendation.ranking.choice import by_model, ranker_of, without_model
from core.recommendation.ranking.rankers import PopularityRanker, Ranker, RecencyRanker, SimilarityRanker
from core.recommendation.ranking.selection import scored
from core.recommendation.ranking.shared_products import with_products
from core.recommendation.requests import (
    RankedList,
    RecommendationRequest,
    RecommendationResult,
    RestOfList,
    SessionEvent,
)
from core.recommendation.sessions import continued, session_history
from core.recommendation.snapshots.current_items import CurrentItems
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.recommendation.trends import Trends
from core.recommendation.user_vectors.user_encoder import UserEncoder
from core.recommendation.user_vectors.user_snapshots import CurrentUser, UserSnapshots
from core.recommendation.user_vectors.vector_cache import VectorCache
from core.records.stored import UserState, UserVersion
from core.scenarios.pools import RandomSource
from core.scenarios.slate import DEFAULT_RANDOM
from core.times import minute_text
from core.users.conditions import UserFacts

NOTHING_LISTED = "the catalogue has no item that can be recommended"
DISLIKED, NOT_YET_READ = "disliked by the user", "changed a moment ago"


class _UserRequest(NamedTuple):
    """A user's request and what it is answered from. `hidden`: keys of the items that the user's events rule out."""

    user_id: str
    snapshot: ServingSnapshot
    request: RecommendationRequest
    items: CurrentItems
    state: UserState | None
    hidden: IntArray

    @property
    def history(self) -> History:
        return self.state.window.history if self.state else EMPTY_HISTORY

    @property
    def version(self) -> UserVersion | None:
        return self.state.version if self.state else None

    @property
    def gap_ms(self) -> int | None:
        return gap_since(self.state.window.last_time_ms if self.state else None, self.items.now_ms)

    @property
    def gap_step(self) -> int:
        return gap_step(self.snapshot, self.gap_ms)


class Recommender:
    """Computes recommendations. Thread-safe; its only state is caches of users, vectors and lists."""

    def __init__(
        self,
        store: Store,
        *,
        snapshots: Callable[[], ServingSnapshot],
        clock: Clock,
        types: EventTypes,
        shape: WindowShape,
        vectors: VectorCache,
        users: UserSnapshots,
        lists: KeptLists,
        include_uncatalogued: bool = False,
        shared: bool = False,
        random: RandomSource = DEFAULT_RANDOM,
        segments: Callable[[], Mapping[str, Filter]] = dict,
    ) -> None:
        """`include_uncatalogued`: recommend uncatalogued items too. `shared`: see `UserEncoder`.

        `random`: what exploration draws with. `segments`: the conditions of segments by name.
        """
        self._store = store
        self._snapshots = snapshots
        self._clock = clock
        self._hidden_items = {seen: HiddenItems(types, exclude_seen=seen) for seen in (False, True)}
        self._shape = shape
        self._users = users
        self._lists = lists
        self._kept = KeptAnswers(store, lists, snapshots=snapshots, clock=clock)
        self._encoder = UserEncoder(store, cache=vectors, shared=shared)
        self._include_uncatalogued = include_uncatalogued
        self._random = random
        self._segments = segments

    def recommend(self, user_id: str, request: RecommendationRequest) -> RecommendationResult:
        """The next items for a user; popular items for a user without a history."""
        [answer] = self.recommend_all([(user_id, request)])
        return answer

    def kept(self, user_id: str, request: RecommendationRequest) -> RecommendationResult | None:
        """The answer of `recommend` if its list is kept, without any computing; else None."""
        return self._kept.find(user_id, request)

    def recommend_all(self, wanted: Sequence[tuple[str, RecommendationRequest]]) -> list[RecommendationResult]:
        """What `recommend` returns for each user, encoded and scored as one batch; scores may differ by rounding."""
        serving = self._snapshots()
        with self._store.read(snapshot=False) as read:
            requests = [self._user_request(read, serving, user_id, request) for user_id, request in wanted]
            ranked = self._lists_of(read, serving, requests)
            return [_user_answer(request, ranked_list) for request, ranked_list in zip(requests, ranked, strict=True)]

    def recommend_session(
        self, events: Sequence[SessionEvent], request: RecommendationRequest, *, user_id: str | None = None
    ) -> RecommendationResult:
        """The next items for a session, which is passed inline and not stored.

        With `user_id`: the items that this user would get if these events were appended to the history.
        """
        snapshot, request = pinned(self._snapshots(), request)
        now_ms = self._now_ms(request)
        with self._store.read(snapshot=False) as read:
            items, user = self._read_user(read, snapshot, user_id, request, now_ms)
            request = self._for_user(read, request, user_id)
            state, hidden = _parts(user)
            session = session_history(items, events)
            history = continued(state.window if state else EMPTY_WINDOW, session, self._shape)
            gap_ms = gap_since(int(history.times_ms[-1]) if len(history) else None, now_ms)
            if request.exclude_seen:
                hidden = np.union1d(hidden, session.items)
            if not len(history):
                ranker: Ranker = PopularityRanker(snapshot, "the session is empty")
            elif snapshot.model is None:
                ranker = without_model(snapshot, history, hidden)
            else:
                encoder = snapshot.model.encoder
                query = encoder.query(encoder.encode([history]), np.array([gap_ms or 0], np.int64))[0]
                reason = "ranked by the session" if state is None else "ranked by the user's history and the session"
                ranker = by_model(snapshot, snapshot.model, query, history, hidden, reason)
            selected = select(request, items, snapshot, ranker, hidden=hidden, random=self._random)
            if request.explain:
                selected = selected._replace(items=explained(items, snapshot, selected.items, history, hidden, now_ms))
        return answer_of(_ranked_list(items, ranker, selected), request, now_ms, user=state, gap_ms=gap_ms)

    def rank(self, user_id: str, item_ids: Sequence[str], *, at_ms: int | None = None) -> RecommendationResult:
        """These items ranked for a user; `excluded` of the result says why each of the others cannot be shown."""
        snapshot, request = self._snapshots(), RecommendationRequest(at_ms=at_ms, exclude_seen=False)
        distinct = list(dict.fromkeys(item_ids))
        rows = snapshot.catalogue.rows_of_ids(distinct)
        with self._store.read(snapshot=False) as read:
            user_request = self._user_request(read, snapshot, user_id, request)
            items, disliked, now_ms = user_request.items, user_request.hidden, user_request.items.now_ms
            [ranker] = self._rankers_for(read, [user_request._replace(hidden=NO_KEYS)])
            rows = rows[rows >= 0]
            rows = rows[snapshot.catalogue.listed_at(now_ms)[rows] & ~np.isin(snapshot.catalogue.keys[rows], disliked)]
            rows = rows[items.listed(rows)]
            scores = ranker.scores(rows)
            order = np.argsort(-scores, kind="stable")
            ranked = tuple(map(scored, map(items.name, rows[order].tolist()), scores[order].tolist()))
            shown = {item.item_id for item in ranked}
            reasons = items.exclusions([item_id for item_id in distinct if item_id not in shown])
        own = {item_id: DISLIKED for item_id in snapshot.catalogue.ids_of(disliked)}
        excluded = {item_id: reason or own.get(item_id, NOT_YET_READ) for item_id, reason in reasons.items()}
        answered, state, gap_ms = _ranked_list(items, ranker, Selected(ranked)), user_request.state, user_request.gap_ms
        return answer_of(answered, request, now_ms, user=state, gap_ms=gap_ms, excluded=excluded)

    def next_page(self, rest: RestOfList, n: int, *, user_id: str | None = None) -> RecommendationResult:
        """The next n items of a list, without those that the user has seen or disliked meanwhile."""
        request = RecommendationRequest(n=n, exclude_seen=rest.exclude_seen)
        with self._store.read(snapshot=False) as read:
            items, user = self._read_user(read, self._snapshots(), user_id, request, self._now_ms(request))
            state, hidden = _parts(user)
            return next_page(rest, request, items, hidden=hidden, user=state)

    def similar(self, item_id: str, request: RecommendationRequest) -> RecommendationResult:
        """The items most similar to an item (cosine of item vectors); raises `NotFound` for an unknown item."""
        snapshot = self._snapshots()
        row = snapshot.catalogue.row_of(item_id)
        if snapshot.model is not None and row >= 0:
            ranker: Ranker = SimilarityRanker(snapshot.model, row)
        else:
            reason = "no model serves yet" if snapshot.model is None else "the item is not indexed yet"
            ranker = PopularityRanker(snapshot, reason, self._categories(snapshot, item_id, row))
        return self._listed(snapshot, ranker, replace(request, exclude=[*request.exclude, item_id]))

    def popular(self, request: RecommendationRequest) -> RecommendationResult:
        """The most popular items by time-decayed popularity."""
        snapshot = self._snapshots()
        return self._listed(snapshot, PopularityRanker(snapshot, "time-decayed popularity"), request)

    def latest(self, request: RecommendationRequest) -> RecommendationResult:
        """The newest items."""
        snapshot = self._snapshots()
        return self._listed(snapshot, RecencyRanker(snapshot), request)

    def trending(self, request: RecommendationRequest, trends: Trends) -> RecommendationResult:
        """The items that gain most popularity; an empty list if none gains."""
        snapshot = self._snapshots()
        gains, since_ms = trends.gains(snapshot)
        ranker = PopularityRanker(replace(snapshot, popularity=gains), _trend_reason(since_ms))
        return self._listed(snapshot, ranker, request, among=np.isfinite(gains))

    @property
    def num_encoded(self) -> int:
        """How many user vectors the model has computed in this process."""
        return self._encoder.num_encoded

    def warm(self, snapshot: ServingSnapshot) -> int:
        """Encode recently active users for a snapshot that is about to serve."""
        return self._encoder.warm(snapshot)

    def encode(self, states: Sequence[UserState]) -> int:
        """Encode users whose state changed, before their next request; returns how many were encoded."""
        return self._encoder.encode_stale(self._snapshots(), states)

    def _read_user(
        self,
        read: ReadTransaction,
        snapshot: ServingSnapshot,
        user_id: str | None,
        request: RecommendationRequest,
        now_ms: int,
    ) -> tuple[CurrentItems, CurrentUser | None]:
        """The items and the user at this moment, by one statement."""
        if user_id is None:
            return self._current(read, snapshot, read.items.revision(), now_ms), None
        revision, user = self._users.read(read, user_id, self._hidden_items[request.exclude_seen])
        return self._current(read, snapshot, revision, now_ms), user

    def _for_user(
        self, read: ReadTransaction, request: RecommendationRequest, user_id: str | None
    ) -> RecommendationRequest:
        """`RecommendationRequest.for_user`; reads the user's attributes only where a filter needs them."""
        if not request.depends_on_user:
            return request
        facts = UserFacts({} if user_id is None else read.user_attributes.of(user_id), self._segments())
        return request.for_user(facts.hold)

    def _current(self, read: ReadTransaction, snapshot: ServingSnapshot, revision: int, now_ms: int) -> CurrentItems:
        return CurrentItems(read, snapshot.catalogue, revision, self._include_uncatalogued, now_ms)

    def _categories(self, snapshot: ServingSnapshot, item_id: str, row: int) -> tuple[str, ...]:
        """An item's categories, also if it is newer than the snapshot; raises `NotFound` for an unknown item."""
        if row >= 0:
            return snapshot.catalogue.categories[row]
        with self._store.read(snapshot=False) as read:
            stored = read.items.by_id([item_id]).get(item_id)
        if stored is None:
            msg = f"item {item_id!r} is not known; add it to the catalogue first"
            raise NotFound(msg)
        return stored.item.categories

    def _listed(
        self,
        snapshot: ServingSnapshot,
        ranker: Ranker,
        request: RecommendationRequest,
        *,
        among: BoolArray | None = None,
    ) -> RecommendationResult:
        """A result without a user, over all rows or those of the mask `among`."""
        now_ms = self._now_ms(request)
        with self._store.read(snapshot=False) as read:
            items = self._current(read, snapshot, read.items.revision(), now_ms)
            request = self._for_user(read, request, None)
            selected = select(request, items, snapshot, ranker, hidden=NO_KEYS, random=self._random, among=among)
        return answer_of(_ranked_list(items, ranker, selected), request, now_ms)

    def _user_request(
        self, read: ReadTransaction, serving: ServingSnapshot, user_id: str, request: RecommendationRequest
    ) -> _UserRequest:
        snapshot, request = pinned(serving, request)
        items, user = self._read_user(read, snapshot, user_id, request, self._now_ms(request))
        return _UserRequest(user_id, snapshot, self._for_user(read, request, user_id), items, *_parts(user))

    def _lists_of(
        self, read: ReadTransaction, serving: ServingSnapshot, requests: Sequence[_UserRequest]
    ) -> list[RankedList]:
        """The list of each request: the kept one where nothing that it depends on has changed, else a new one."""
        moments = [Moment.of(serving, request.items.revision, request.items.now_ms) for request in requests]
        wanted = [WantedList(r.user_id, r.request, r.version, r.gap_step) for r in requests]
        kept = [self._lists.find(moment, a_list) for moment, a_list in zip(moments, wanted, strict=True)]
        lists = {index: ranked for index, ranked in enumerate(kept) if ranked is not None}
        new = [index for index in range(len(requests)) if index not in lists]
        for index, ranker in zip(new, self._rankers_for(read, [requests[index] for index in new]), strict=True):
            lists[index] = self._ranked(requests[index], ranker)
            self._lists.keep(moments[index], wanted[index], lists[index])
        return [lists[index] for index in range(len(requests))]

    def _rankers_for(self, read: ReadTransaction, requests: Sequence[_UserRequest]) -> list[Ranker]:
        queries = zip(requests, self._queries_of(read, requests), strict=True)
        return with_products([ranker_of(r.snapshot, r.state, r.hidden, query) for r, query in queries])

    def _queries_of(self, read: ReadTransaction, requests: Sequence[_UserRequest]) -> list[FloatArray | None]:
        """For each request the (D,) query, None where no model ranks; users of one model are encoded as one batch."""
        queries: list[FloatArray | None] = [None] * len(requests)
        batches: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            if request.snapshot.model is not None and len(request.history):
                batches.setdefault(request.snapshot.model.version, []).append(index)
        for indices in batches.values():
            snapshot, states = requests[indices[0]].snapshot, [requests[index].state for index in indices]
            assert snapshot.model is not None
            vectors = self._encoder.vectors(read, snapshot, snapshot.model, [state for state in states if state])
            gaps_ms = np.array([requests[index].gap_ms or 0 for index in indices], np.int64)
            for index, query in zip(indices, snapshot.model.encoder.query(vectors, gaps_ms), strict=True):
                queries[index] = query
        return queries

    def _ranked(self, user_request: _UserRequest, ranker: Ranker) -> RankedList:
        _, snapshot, request, items, _, hidden = user_request
        selected = select(request, items, snapshot, ranker, hidden=hidden, random=self._random)
        if request.explain:
            shown = explained(items, snapshot, selected.items, user_request.history, hidden, items.now_ms)
            selected = selected._replace(items=shown)
        return _ranked_list(items, ranker, selected)

    def _now_ms(self, request: RecommendationRequest) -> int:
        """The time of the answer."""
        return self._clock.now_ms() if request.at_ms is None else request.at_ms


def _parts(user: CurrentUser | None) -> tuple[UserState | None, IntArray]:
    """The state of a user, and the keys of the items that the user's events rule out."""
    return (None, NO_KEYS) if user is None else (user.state, user.hidden)


def _trend_reason(since_ms: int | None) -> str:
    if since_ms is None:
        return "no trend is known yet"
    return f"gains since {minute_text(since_ms)} UTC, compared with all time before"


def _ranked_list(items: CurrentItems, ranker: Ranker, selected: Selected) -> RankedList:
    has_items = bool(selected.items) or items.catalogue.listed_at(items.now_ms).any()
    reason = ranker.reason if has_items else NOTHING_LISTED
    return RankedList(selected.items, ranker.source, reason, ranker.version, selected.rest)


def _user_answer(user_request: _UserRequest, ranked: RankedList) -> RecommendationResult:
    request, now_ms = user_request.request, user_request.items.now_ms
    return answer_of(ranked, request, now_ms, user=user_request.state, gap_ms=user_request.gap_ms)
