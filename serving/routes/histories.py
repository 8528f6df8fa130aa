"""Who there is and what each did, page by page, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response

from core.errors import InvalidInput, NotFound
from core.interactions import check_id, shorten
from core.ports import EventRow, StoredItem, UserState
from serving.http.replies import json_reply
from serving.http.requests import check_fields, integer_query, path_id
from serving.runtime.engine import Engine

MAX_PAGE = 1_000
THE_END = (2**62, 0)  # behind every event: (time, sequence)


class HistoryRoutes:
    """Looking at users and their events."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._type_names = tuple(engine.services.types.codes)

    async def users(self, request: Request) -> Response:
        """A page of users in the order of their ids."""
        check_fields(request.query_params, ("prefix", "after", "limit"))
        limit = integer_query(request, "limit", default=100, highest=MAX_PAGE)
        prefix, after = (_optional_id(request, name) for name in ("prefix", "after"))
        found = await self._engine.readers.run(lambda: self._read_page(prefix, after, limit))
        last = found[-1][0] if len(found) == limit else None
        return json_reply({"users": [_user(*one) for one in found], "next_after": last})

    async def events(self, request: Request) -> Response:
        """What a user did, newest first."""
        check_fields(request.query_params, ("before", "limit"))
        user_id = path_id(request, "user_id")
        limit = integer_query(request, "limit", default=100, highest=MAX_PAGE)
        before = _place(request.query_params.get("before"))
        return json_reply(await self._engine.readers.run(lambda: self._history(user_id, before, limit)))

    def _read_page(self, prefix: str, after: str, limit: int) -> list[tuple[str, UserState]]:
        with self._services.store.read() as read:
            return read.list_users(prefix=prefix, after=after, limit=limit)

    def _history(self, user_id: str, before: tuple[int, int], limit: int) -> dict[str, Any]:
        """One event more than asked for is read: the gap before the last one, and whether there are more."""
        with self._services.store.read() as read:
            state = read.user(user_id)
            if state is None:
                msg = f"user {user_id!r} is not known"
                raise NotFound(msg)
            rows = read.history_page(state.key, before=before, limit=limit + 1)
            items = read.items(sorted({row.item_key for row in rows}))
        events = [
            self._event(row, items[row.item_key], rows[place + 1] if place + 1 < len(rows) else None)
            for place, row in enumerate(rows[:limit])
        ]
        more = f"{rows[limit - 1].time_ms}.{rows[limit - 1].user_seq}" if len(rows) > limit else None
        return {"user_id": user_id, "user_seq": state.seq, "events": events, "next_before": more}

    def _event(self, row: EventRow, stored: StoredItem, earlier: EventRow | None) -> dict[str, Any]:
        return {
            "item_id": stored.item.item_id,
            "title": stored.item.title,
            "categories": stored.item.categories,
            "type": self._type_names[row.type_code],
            "time": row.time_ms,
            "gap_ms": None if earlier is None else row.time_ms - earlier.time_ms,
            "user_seq": row.user_seq,
            "value": row.value,
            "context": row.context,
            "recommendation_id": row.recommendation_id,
        }


def _optional_id(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    return check_id(name, value) if value else ""


def _place(text: str | None) -> tuple[int, int]:
    """Where a page of events begins: `next_before` of the page before it."""
    if text is None:
        return THE_END
    parts: Sequence[str] = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        msg = f"before: wanted next_before of an earlier page, got {shorten(text)}"
        raise InvalidInput(msg, field="before")
    return int(parts[0]), int(parts[1])


def _user(user_id: str, state: UserState) -> dict[str, Any]:
    return {"user_id": user_id, "user_seq": state.seq, "newest_event": state.window.last_time_ms}
