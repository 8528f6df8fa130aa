"""Users over HTTP: their attributes, events and interests; merge and erase them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request, Response

from core.corrections.erase import erase_user
from core.corrections.merge import merge_users
from core.errors import InvalidInput, NotFound
from core.events.interactions import check_id, shorten
from core.ports.store import ReadTransaction
from core.records.stored import EventRow, ListedUser, StoredItem
from core.users.attributes import UserAttributes, parse_user
from core.users.manage import patch_users, save_users
from serving.http.audit import audited
from serving.http.entries import read_entries, read_one
from serving.http.replies import json_reply
from serving.http.requests import choice_query, integer_query, path_id, read_object
from serving.runtime.engine import Engine
from serving.schemas import users as schemas

MAX_PAGE = 1_000
FROM_THE_NEWEST = (2**62, 0)  # the position of the first page: a time, and the number of an event or key of a user


class UserRoutes:
    """Reads come from the store; changes go through the writer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._types = engine.services.types

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        user = "/v1/users/{user_id:path}"
        router.add_api_route("/v1/users", self.list_page, methods=["GET"], **schemas.GET_USERS)
        router.add_api_route(f"{user}/events", self.events, methods=["GET"], **schemas.GET_USER_EVENTS)
        router.add_api_route(f"{user}/interests", self.interests, methods=["GET"], **schemas.GET_INTERESTS)
        router.add_api_route(f"{user}/merge", self.merge, methods=["POST"], **schemas.POST_MERGE)
        router.add_api_route("/v1/users", self.post, methods=["POST"], **schemas.POST_USERS)
        router.add_api_route("/v1/users", self.patch_many, methods=["PATCH"], **schemas.PATCH_USERS)
        router.add_api_route(user, self.get, methods=["GET"], **schemas.GET_USER)
        router.add_api_route(user, self.put, methods=["PUT"], **schemas.PUT_USER)
        router.add_api_route(user, self.patch, methods=["PATCH"], **schemas.PATCH_USER)
        router.add_api_route(user, self.delete, methods=["DELETE"], **schemas.DELETE_USER)

    async def list_page(self, request: Request) -> Response:
        """A page of users in ascending id, by their newest event, or by the time when their interest shifted."""
        limit = integer_query(request, "limit", default=100, highest=MAX_PAGE)
        order = choice_query(request, "order", ("id", "activity", "shift"))
        prefix = _optional_id(request, "prefix")
        if order == "id":
            after = _optional_id(request, "after")
            users = await self._read_users(lambda read: read.users.by_id(prefix=prefix, after=after, limit=limit))
        elif prefix:
            msg = f"prefix: wanted none with order={order}; users are found by prefix in the order of their ids"
            raise InvalidInput(msg, field="prefix")
        else:
            before = _position(request.query_params.get("after"), "next_after", "after")
            users = await self._read_users(
                lambda read: (
                    read.users.by_activity(before=before, limit=limit)
                    if order == "activity"
                    else read.users.by_shift(before=before, limit=limit)
                )
            )
        return json_reply(schemas.users_out(users, order, limit))

    async def _read_users(self, query: Callable[[ReadTransaction], list[ListedUser]]) -> list[ListedUser]:
        def work() -> list[ListedUser]:
            with self._services.store.read() as read:
                return query(read)

        return await self._engine.executor.run(work)

    async def events(self, request: Request) -> Response:
        """The events of a user, newest first."""
        user_id = path_id(request, "user_id")
        limit = integer_query(request, "limit", default=100, highest=MAX_PAGE)
        before = _position(request.query_params.get("before"), "next_before", "before")
        return json_reply(await self._engine.executor.run(lambda: self._history(user_id, before, limit)))

    async def interests(self, request: Request) -> Response:
        """The short-term and long-term interests of a user, and how they shifted."""
        user_id = path_id(request, "user_id")
        interests = self._services.interests
        return json_reply(await self._engine.executor.run(lambda: schemas.interest_out(interests.of(user_id))))

    async def get(self, request: Request) -> Response:
        """One user, with attributes."""
        user_id = path_id(request, "user_id")
        return json_reply(await self._engine.executor.run(lambda: self._read(user_id)))

    async def put(self, request: Request) -> Response:
        """Replace the attributes of a user, who is created if new."""
        user = parse_user(await read_one(request, self._engine, "user_id"))
        await self._engine.writer.run(lambda: save_users(self._services.store, [user]))
        return json_reply({"user_id": user.user_id, "status": "accepted"})

    async def post(self, request: Request) -> Response:
        """Replace the attributes of one user or many; each gets its own outcome."""
        entries = await read_entries(request, self._engine, "users", parse_user)
        await self._engine.writer.run(lambda: save_users(self._services.store, entries.valid))
        return json_reply(entries.outcomes("user_id", _id_of))

    async def patch(self, request: Request) -> Response:
        """Change some attributes of a user, who is created if new; null removes one."""
        user = parse_user(await read_one(request, self._engine, "user_id"))
        (problem,) = await self._engine.writer.run(lambda: patch_users(self._services.store, [user]))
        if problem is not None:
            raise problem
        return json_reply({"user_id": user.user_id, "status": "accepted"})

    async def patch_many(self, request: Request) -> Response:
        """Change some attributes of many users; each gets its own outcome."""
        entries = await read_entries(request, self._engine, "users", parse_user)
        problems = await self._engine.writer.run(lambda: patch_users(self._services.store, entries.valid))
        return json_reply(entries.outcomes("user_id", _id_of, problems))

    async def merge(self, request: Request) -> Response:
        """Merge another user, a guest, into this one; later events of the guest's id are this user's."""
        user_id = path_id(request, "user_id")
        body = await read_object(request, ("from",), max_bytes=self._engine.limits.max_object_bytes)
        from_id = check_id("from", body.get("from"))
        services = self._services
        state, num_gained = await self._engine.writer.run(
            lambda: merge_users(
                audited(services, request, "merge users"), user_id, from_id, services.ingestor.derivation
            )
        )
        services.encode([state])
        reply = {"user_id": user_id, "from": from_id, "status": "merged", "events": num_gained, "user_seq": state.seq}
        return json_reply(reply)

    async def delete(self, request: Request) -> Response:
        """Delete everything about a user; redelivered events from before the erasure are dropped."""
        user_id = path_id(request, "user_id")
        services = self._services
        store = audited(services, request, "erase user")
        await self._engine.writer.run(
            lambda: erase_user(store, user_id, clock=services.clock, derivation=services.ingestor.derivation)
        )
        return json_reply({"user_id": user_id, "status": "erased"})

    def _read(self, user_id: str) -> dict[str, object]:
        with self._services.store.read() as read:
            state = read.users.find(user_id)
            if state is None:
                raise _unknown(user_id)
            attributes = read.user_attributes.of(user_id)
        stored = {"user_seq": state.seq, "newest_event": state.window.last_time_ms}
        segments = self._services.segments.of(attributes)
        return {"user_id": user_id, **stored, "attributes": attributes, "segments": segments}

    def _history(self, user_id: str, before: tuple[int, int], limit: int) -> dict[str, object]:
        """Reads one more event than requested: for the gap before the last one, and to know whether more follow."""
        with self._services.store.read() as read:
            state = read.users.find(user_id)
            if state is None:
                raise _unknown(user_id)
            rows = read.events.history_page(state.key, before=before, limit=limit + 1)
            items = read.items.by_key(sorted({row.item_key for row in rows}))
        events = [
            self._event(row, items[row.item_key], rows[index + 1] if index + 1 < len(rows) else None)
            for index, row in enumerate(rows[:limit])
        ]
        more = f"{rows[limit - 1].time_ms}.{rows[limit - 1].user_seq}" if len(rows) > limit else None
        return {"user_id": user_id, "user_seq": state.seq, "events": events, "next_before": more}

    def _event(self, row: EventRow, stored: StoredItem, previous: EventRow | None) -> dict[str, object]:
        return {
            "item_id": stored.item.item_id,
            "title": stored.item.title,
            "categories": stored.item.categories,
            "type": self._types.name(row.type_code),
            "time": row.time_ms,
            "gap_ms": None if previous is None else row.time_ms - previous.time_ms,
            "user_seq": row.user_seq,
            "value": row.value,
            "context": row.context,
            "recommendation_id": row.recommendation_id,
        }


def _unknown(user_id: str) -> NotFound:
    return NotFound(f"user {user_id!r} is not known")


def _id_of(user: UserAttributes) -> str:
    return user.user_id


def _optional_id(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    return check_id(name, value) if value else ""


def _position(text: str | None, source: str, name: str) -> tuple[int, int]:
    """The position where a page begins, as (time, number): the field `source` of the previous page."""
    if text is None:
        return FROM_THE_NEWEST
    parts: Sequence[str] = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        msg = f"{name}: wanted {source} of an earlier page, got {shorten(text)}"
        raise InvalidInput(msg, field=name)
    return int(parts[0]), int(parts[1])
