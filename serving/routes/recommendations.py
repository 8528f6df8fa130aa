"""Recommendations over HTTP: for a user or a session, ranking, similar, popular, trending and latest items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import orjson
from fastapi import APIRouter, Request, Response

from core.errors import InvalidInput
from core.events.interactions import check_id, check_time_ms, shorten
from core.recommendation.cursors import encode_cursor
from core.recommendation.requests import RankedList, RecommendationRequest, RecommendationResult, SessionEvent
from core.records.outcomes import Answer, Origin
from serving.http.replies import encoded_reply
from serving.http.requests import (
    check_fields,
    check_ids,
    parse_recommendation_request,
    path_id,
    read_next_page,
    read_object,
    read_recommendation_query,
)
from serving.http.scenario_access import check_permitted
from serving.runtime.batched_queries import BatchedQueries
from serving.runtime.engine import Engine
from serving.schemas import recommendations as schemas

MAX_USERS = 100  # of one request, which occupies a thread
MAX_QUERIES, MAX_QUERY = 1_000, 200  # query strings whose requests are kept, and bytes of each
SESSION_FIELDS = tuple(schemas.SessionIn.model_fields)
MODEL_LISTS = ("", "rank", "similar")  # kinds of lists that a model ranks if there is one; "": next items
SESSION_EVENT_FIELDS = tuple(schemas.SessionEventIn.model_fields)
RANK_FIELDS = tuple(schemas.RankIn.model_fields)


class RecommendationRoutes:
    """Queries and the encoding of their answers to JSON run on the engine's threads for rankings.

    Users who wait at the same time are encoded and ranked as one batch. A user's list that is kept is answered by the
    event loop itself where the database is embedded: handing it to a thread and back would take longer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._recommender = engine.services.recommender
        self._of_users = BatchedQueries(engine.ranking, self._answer_users)
        self._items: WeakKeyDictionary[RankedList, bytes] = WeakKeyDictionary()
        self._plain: dict[bytes, RecommendationRequest] = {}  # of query strings that name nothing which may change

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        user, items = "/v1/users/{user_id:path}", "/v1/items"
        router.add_api_route(f"{user}/recommendations", self.recommend, methods=["GET"], **schemas.GET_RECOMMENDATIONS)
        router.add_api_route(
            "/v1/recommendations", self.recommend_session, methods=["POST"], **schemas.POST_RECOMMENDATIONS
        )
        router.add_api_route(f"{user}/rank", self.rank, methods=["POST"], **schemas.POST_RANK)
        router.add_api_route(f"{items}/trending", self.trending, methods=["GET"], **schemas.GET_TRENDING)
        router.add_api_route(f"{items}/latest", self.latest, methods=["GET"], **schemas.GET_LATEST)
        router.add_api_route(f"{items}/popular", self.popular, methods=["GET"], **schemas.GET_POPULAR)
        router.add_api_route(f"{items}/{{item_id:path}}/similar", self.similar, methods=["GET"], **schemas.GET_SIMILAR)

    async def recommend(self, request: Request) -> Response:
        """The next items for a user."""
        user_id = path_id(request, "user_id")
        if "next" in request.query_params:
            return await self._next_page(request, user_id=user_id)
        wanted = await self._wanted(request, user_id)
        if self._services.store.is_embedded and (kept := self._recommender.kept(user_id, wanted)):
            return encoded_reply(orjson.dumps(self._content(kept, wanted, user_id=user_id)))
        return encoded_reply(await self._of_users.run((user_id, wanted)))

    async def recommend_session(self, request: Request) -> Response:
        """The next items for a session given in the body: anonymous, or as if it were a user's next events.

        With `users`: the next items of each of them.
        """
        body = await read_object(request, SESSION_FIELDS, max_bytes=self._engine.limits.max_object_bytes)
        check_permitted(request, body)
        if body.get("users") is not None:
            return await self._recommend_all(body)
        user_id = None if body.get("user_id") is None else check_id("user_id", body["user_id"])
        recommendation_request = await self._engine.with_newest_definitions(
            lambda: parse_recommendation_request(body, self._services, user_id=user_id)
        )
        events = self._session(body.get("events", []))
        return await self._reply(
            lambda: self._recommender.recommend_session(events, recommendation_request, user_id=user_id),
            recommendation_request,
            **({} if user_id is None else {"user_id": user_id}),
        )

    async def _recommend_all(self, body: dict[str, object]) -> Response:
        """One answer per user of the body, in their order."""
        extra = next((name for name in ("user_id", "events") if body.get(name) is not None), None)
        if extra is not None:
            msg = f"{extra}: wanted either users, or a session, in one request; leave one out"
            raise InvalidInput(msg, field=extra)
        user_ids = check_ids("users", body["users"], limit=MAX_USERS)
        requests = await self._engine.with_newest_definitions(
            lambda: [parse_recommendation_request(body, self._services, user_id=user_id) for user_id in user_ids]
        )
        wanted = list(zip(user_ids, requests, strict=True))

        def content() -> bytes:
            return orjson.dumps({"users": [orjson.Fragment(answer) for answer in self._answer_users(wanted)]})

        return encoded_reply(await self._engine.ranking.run(content))

    def _answer_users(self, wanted: Sequence[tuple[str, RecommendationRequest]]) -> list[bytes]:
        """The answer to each user, encoded and ranked as one batch."""
        answers = zip(wanted, self._recommender.recommend_all(wanted), strict=True)
        return [orjson.dumps(self._content(answer, request, user_id=user_id)) for (user_id, request), answer in answers]

    async def rank(self, request: Request) -> Response:
        """The items of the body, best first for a user."""
        user_id = path_id(request, "user_id")
        body = await read_object(request, RANK_FIELDS, max_bytes=self._engine.limits.max_object_bytes)
        item_ids = check_ids("item_ids", body.get("item_ids"), limit=self._engine.limits.max_ids)
        at_ms = None if body.get("at") is None else check_time_ms("at", body["at"])
        return await self._reply(
            lambda: self._recommender.rank(user_id, item_ids, at_ms=at_ms),
            RecommendationRequest(at_ms=at_ms),
            list_name="rank",
            user_id=user_id,
        )

    async def similar(self, request: Request) -> Response:
        """The items most similar to an item."""
        item_id = path_id(request, "item_id")
        return await self._list(
            request, lambda wanted: self._recommender.similar(item_id, wanted), list_name="similar", item_id=item_id
        )

    async def popular(self, request: Request) -> Response:
        """The most popular items, time-decayed."""
        return await self._list(request, self._recommender.popular, list_name="popular")

    async def latest(self, request: Request) -> Response:
        """The newest items of the catalogue."""
        return await self._list(request, self._recommender.latest, list_name="latest")

    async def trending(self, request: Request) -> Response:
        """The items that gain popularity most."""
        trends = self._engine.trends
        return await self._list(
            request, lambda wanted: self._recommender.trending(wanted, trends), list_name="trending"
        )

    async def _list(
        self,
        request: Request,
        query: Callable[[RecommendationRequest], RecommendationResult],
        *,
        list_name: str,
        **about: str,
    ) -> Response:
        """The answer to a query string, for no user: the first page of a list, or the next one."""
        if "next" in request.query_params:
            return await self._next_page(request, list_name=list_name, **about)
        wanted = await self._wanted(request, None)
        return await self._reply(lambda: query(wanted), wanted, list_name=list_name, **about)

    async def _next_page(self, request: Request, *, list_name: str = "", **about: str) -> Response:
        rest, wanted = read_next_page(request, self._services)
        user_id = about.get("user_id")
        return await self._reply(
            lambda: self._recommender.next_page(rest, wanted.n, user_id=user_id), wanted, list_name=list_name, **about
        )

    async def _wanted(self, request: Request, user_id: str | None) -> RecommendationRequest:
        """The request of a query string; `user_id`: whom an experiment may assign to an arm."""
        query: bytes = request.scope["query_string"]
        plain = None if self._services.experiments.all() else self._plain.get(query)
        if plain is not None:
            check_permitted(request, request.query_params)
            return plain
        wanted = await self._engine.with_newest_definitions(
            lambda: read_recommendation_query(request, self._services, user_id=user_id)
        )
        if wanted.scenario is None and not (wanted.arm or wanted.where or wanted.pages_of or len(query) > MAX_QUERY):
            if len(self._plain) >= MAX_QUERIES:
                self._plain.clear()
            self._plain[query] = wanted
        return wanted

    def _session(self, raw: object) -> list[SessionEvent]:
        """The events of a session; one without a time happened now."""
        if not isinstance(raw, list) or len(raw) > self._engine.limits.max_ids:
            msg = f"events: wanted a list of at most {self._engine.limits.max_ids} events, got {shorten(raw)}"
            raise InvalidInput(msg, field="events")
        now_ms = self._services.clock.now_ms() if any(_lacks_time(event) for event in raw) else 0
        return [_session_event(event, now_ms) for event in raw]

    async def _reply(
        self,
        query: Callable[[], RecommendationResult],
        request: RecommendationRequest,
        *,
        list_name: str = "",
        **about: str,
    ) -> Response:
        def content() -> bytes:
            return orjson.dumps(self._content(query(), request, list_name=list_name, **about))

        return encoded_reply(await self._engine.ranking.run(content))

    def _content(
        self, answer: RecommendationResult, request: RecommendationRequest, *, list_name: str = "", **about: str
    ) -> dict[str, object]:
        if request.record:
            self._engine.metrics.count_recommendation(list_name, answer.source)
        if request.record and request.at_ms is None:
            self._services.answers.add(_recorded(answer, about.get("user_id"), list_name))
        age_ms = self._age_ms(answer, request.at_ms)
        content = about | schemas.recommendations_out(answer, age_ms, items=orjson.Fragment(self._items_of(answer)))
        if request.pages_of:
            content["next"] = answer.rest and encode_cursor(answer.rest, self._services.cursor_key)
        return content

    def _items_of(self, answer: RecommendationResult) -> bytes:
        """The items as JSON, made once for all answers that share a list."""
        encoded = self._items.get(answer.ranked)
        if encoded is None:
            encoded = self._items[answer.ranked] = orjson.dumps(schemas.items_out(answer))
        return encoded

    def _age_ms(self, answer: RecommendationResult, at_ms: int | None) -> int | None:
        """The time since the newest event that an answer includes, by the clock, not by the request's `at`."""
        if at_ms is None or not answer.gap_ms:  # with `at`, a gap of 0 only says that the event is later
            return answer.gap_ms if at_ms is None else None
        return max(0, self._services.clock.now_ms() - (answer.now_ms - answer.gap_ms))


def _recorded(answer: RecommendationResult, user_id: str | None, list_name: str) -> Answer:
    """What is remembered of an answer. `list_name`: stands in for a scenario; "" for next items."""
    origin = Origin(answer.scenario or list_name, answer.arm, answer.model_version or "")
    item_ids = tuple([item.item_id for item in answer.items])
    is_fallback = answer.source == "popularity" if list_name in MODEL_LISTS else None
    return Answer(
        answer.recommendation_id,
        user_id,
        answer.now_ms,
        origin,
        item_ids,
        answer.propensities,
        is_fallback,
        answer.user_key,
    )


def _lacks_time(raw: object) -> bool:
    return isinstance(raw, dict) and raw.get("time") is None


def _session_event(raw: object, now_ms: int) -> SessionEvent:
    if not isinstance(raw, dict):
        msg = f'events: wanted objects as {{"item_id": ..., "time": ...}}, got {shorten(raw)}'
        raise InvalidInput(msg, field="events")
    check_fields(raw, SESSION_EVENT_FIELDS)
    time = raw.get("time")
    return SessionEvent(
        check_id("item_id", raw.get("item_id")), now_ms if time is None else check_time_ms("time", time)
    )
