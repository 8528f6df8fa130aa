"""The queries: recommendations, ranking, similar, popular, trending and new items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from fastapi import Request, Response

from core.errors import InvalidInput
from core.interactions import check_id, check_time_ms, shorten
from core.recommendation.requests import Answer, ScoredItem, SessionEvent
from serving.http.requests import WISH_FIELDS, check_fields, check_ids, parse_wish, path_id, query_wish, read_object
from serving.runtime.engine import Engine

SESSION_FIELDS = ("user_id", "events", *WISH_FIELDS)


class AnswerRoutes:
    """Asking who should see what. Query and encoding to JSON both run on a reader thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._recommender = engine.services.recommender

    async def recommend(self, request: Request) -> Response:
        """The next items for a user."""
        user_id, wish = path_id(request, "user_id"), query_wish(request, self._services)
        return await self._reply(lambda: self._recommender.recommend(user_id, wish), wish.at_ms, user_id=user_id)

    async def recommend_session(self, request: Request) -> Response:
        """The next items for a session given in the body: anonymous, or as if it were a user's next events."""
        body = await read_object(request, SESSION_FIELDS, max_bytes=self._engine.limits.max_body_bytes)
        wish = parse_wish(body, self._services)
        events = self._session(body.get("events", []))
        if body.get("user_id") is None:
            return await self._reply(lambda: self._recommender.recommend_session(events, wish), wish.at_ms)
        user_id = check_id("user_id", body["user_id"])
        return await self._reply(
            lambda: self._recommender.recommend_session(events, wish, user_id=user_id), wish.at_ms, user_id=user_id
        )

    async def rank(self, request: Request) -> Response:
        """The given items, best first for a user."""
        user_id = path_id(request, "user_id")
        body = await read_object(request, ("item_ids", "at"), max_bytes=self._engine.limits.max_body_bytes)
        item_ids = check_ids("item_ids", body.get("item_ids"), limit=self._engine.limits.max_ids)
        at_ms = None if body.get("at") is None else check_time_ms("at", body["at"])
        return await self._reply(lambda: self._recommender.rank(user_id, item_ids, at_ms=at_ms), at_ms, user_id=user_id)

    async def similar(self, request: Request) -> Response:
        """Items most like one."""
        item_id, wish = path_id(request, "item_id"), query_wish(request, self._services)
        return await self._reply(lambda: self._recommender.similar(item_id, wish), wish.at_ms, item_id=item_id)

    async def popular(self, request: Request) -> Response:
        """What is popular lately."""
        wish = query_wish(request, self._services)
        return await self._reply(lambda: self._recommender.popular(wish), wish.at_ms)

    async def latest(self, request: Request) -> Response:
        """What is new in the catalogue."""
        wish = query_wish(request, self._services)
        return await self._reply(lambda: self._recommender.latest(wish), wish.at_ms)

    async def trending(self, request: Request) -> Response:
        """What gains most."""
        wish, trends = query_wish(request, self._services), self._engine.trends
        return await self._reply(lambda: self._recommender.trending(wish, trends), wish.at_ms)

    def _session(self, raw: Any) -> list[SessionEvent]:
        """The events of a session; one without a time happened now."""
        if not isinstance(raw, list) or len(raw) > self._engine.limits.max_ids:
            msg = f"events: wanted a list of at most {self._engine.limits.max_ids} events, got {shorten(raw)}"
            raise InvalidInput(msg, field="events")
        now_ms = self._services.clock.now_ms() if any(_lacks_time(each) for each in raw) else 0
        return [_session_event(each, now_ms) for each in raw]

    async def _reply(self, query: Callable[[], Answer], at_ms: int | None, **about: str) -> Response:
        def content() -> bytes:
            answer = query()
            self._engine.metrics.listed(answer.source)
            return orjson.dumps(about | _answer(answer, self._age_ms(answer, at_ms)))

        return Response(await self._engine.readers.run(content), media_type="application/json")

    def _age_ms(self, answer: Answer, at_ms: int | None) -> int | None:
        """How long ago the newest event behind an answer happened, whatever "now" the request asked for."""
        if at_ms is None or not answer.gap_ms:  # a gap of 0 under `at` tells only that the event is later
            return answer.gap_ms if at_ms is None else None
        return max(0, self._services.clock.now_ms() - (answer.now_ms - answer.gap_ms))


def _lacks_time(raw: Any) -> bool:
    return isinstance(raw, dict) and raw.get("time") is None


def _session_event(raw: Any, now_ms: int) -> SessionEvent:
    if not isinstance(raw, dict):
        msg = f'events: wanted objects as {{"item_id": ..., "time": ...}}, got {shorten(raw)}'
        raise InvalidInput(msg, field="events")
    check_fields(raw, ("item_id", "time"))
    time = raw.get("time")
    return SessionEvent(
        check_id("item_id", raw.get("item_id")), now_ms if time is None else check_time_ms("time", time)
    )


def _answer(answer: Answer, age_ms: int | None) -> dict[str, Any]:
    """An answer as it is sent."""
    return {
        "recommendation_id": answer.recommendation_id,
        "items": [_item(one) for one in answer.items],
        "source": answer.source,
        "reason": answer.reason,
        "model_version": answer.model_version,
        "user_seq": answer.user_seq,
        "gap_ms": answer.gap_ms,
        "age_ms": age_ms,
        "now": answer.now_ms,
        **({"left_out": answer.left_out} if answer.left_out else {}),
    }


def _item(one: ScoredItem) -> dict[str, Any]:
    item = {"item_id": one.item_id, "title": one.title, "categories": one.categories, "score": one.score}
    if one.because is None:
        return item
    because = [
        {"item_id": event.item_id, "title": event.title, "time": event.time_ms, "share": round(event.share, 3)}
        for event in one.because
    ]
    return item | {"because": because}
