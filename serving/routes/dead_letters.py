"""Dead letters over HTTP: list, retry and discard input that could not be applied."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import APIRouter, Request, Response

from core.access.audit import named
from core.errors import InvalidInput
from core.events.interactions import shorten
from core.ingestion.dead_letters import dead_letter_json, discard, retry
from serving.http.audit import audited
from serving.http.replies import json_reply
from serving.http.requests import integer_query, read_object
from serving.runtime.engine import Engine
from serving.schemas import dead_letters as schemas

MAX_PAGE = 1_000
MAX_KEYS = 10_000
MAX_SHOWN = 100  # failures in an answer
DEFAULT_PAGE = 100
KEY_LIMIT = 2**63
KEY_FIELDS = tuple(schemas.DeadLetterKeys.model_fields)


class DeadLetterRoutes:
    """Retries and discards go through the writer, as every change does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        path = "/v1/dead-letters"
        router.add_api_route(path, self.list_newest, methods=["GET"], **schemas.GET_DEAD_LETTERS)
        router.add_api_route(f"{path}/retry", self.retry, methods=["POST"], **schemas.POST_RETRY)
        router.add_api_route(f"{path}/discard", self.discard, methods=["POST"], **schemas.POST_DISCARD)

    async def list_newest(self, request: Request) -> Response:
        """The newest dead letters: source, payload and reason of each."""
        limit = integer_query(request, "limit", default=DEFAULT_PAGE, highest=MAX_PAGE)
        return json_reply(await self._engine.executor.run(lambda: self._newest(limit)))

    async def retry(self, request: Request) -> Response:
        """Decode dead letters with the current settings and apply them; those that fail again remain."""
        keys = await self._keys(request)
        return json_reply(await self._engine.writer.run(lambda: self._retry(keys)))

    async def discard(self, request: Request) -> Response:
        """Delete dead letters permanently."""
        keys = await self._keys(request)
        num = await self._engine.writer.run(lambda: self._discard(request, keys))
        return json_reply({"discarded": num})

    async def _keys(self, request: Request) -> set[int] | None:
        """The keys in a body; None for all."""
        body = await read_object(request, KEY_FIELDS, max_bytes=self._engine.limits.max_object_bytes)
        if body.get("all") is True and "keys" not in body:
            return None
        return _checked(body.get("keys"))

    def _newest(self, limit: int) -> dict[str, object]:
        with self._services.store.read() as read:
            dead_letters, total = read.dead_letters.newest(limit=limit), read.dead_letters.count()
        sources = self._services.dead_letter_decoder.sources
        page = [
            dead_letter_json(dead_letter) | {"retryable": dead_letter.source in sources} for dead_letter in dead_letters
        ]
        return {"total": total, "dead_letters": page}

    def _discard(self, request: Request, keys: Collection[int] | None) -> int:
        store = audited(self._services, request, "discard dead letters", _target(keys))
        return discard(store, source=None, keys=keys)

    def _retry(self, keys: Collection[int] | None) -> dict[str, object]:
        decoder, services = self._services.dead_letter_decoder, self._services
        sums = {"retried": 0, "succeeded": 0, "accepted": 0}
        failures: list[dict[str, object]] = []
        for source in decoder.sources:
            retried = retry(services.store, services.ingestor, decoder.decode, source=source, keys=keys)
            sums["retried"] += retried.num_retried
            sums["succeeded"] += retried.num_succeeded
            sums["accepted"] += retried.num_accepted
            failures += [dead_letter_json(failure) | {"retryable": True} for failure in retried.failures[:MAX_SHOWN]]
        return sums | {"failed": sums["retried"] - sums["succeeded"], "failures": failures[:MAX_SHOWN]}


def _target(keys: Collection[int] | None) -> str:
    return "all" if keys is None else named([str(key) for key in sorted(keys)])


def _checked(value: object) -> set[int]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_KEYS or not all(map(_is_key, value)):
        msg = f"keys: wanted a list of 1 to {MAX_KEYS} keys of dead letters, or all: true instead, got {shorten(value)}"
        raise InvalidInput(msg, field="keys")
    return set(value)


def _is_key(value: object) -> bool:
    return type(value) is int and 0 <= value < KEY_LIMIT
