"""One user: their interest, and forgetting them."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from core.interests.interest import Drift, FloatArray
from core.interests.user_interest import UserInterest
from core.manage import erase_user
from serving.http.replies import json_reply
from serving.http.requests import check_fields, path_id
from serving.runtime.engine import Engine


class UserRoutes:
    """Interest and erasure."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def interests(self, request: Request) -> Response:
        """What a user turns to, lately and on the whole, and how it moved."""
        user_id = path_id(request, "user_id")
        check_fields(request.query_params, ())
        return json_reply(await self._engine.readers.run(lambda: as_json(self._engine.services.interests.of(user_id))))

    async def delete(self, request: Request) -> Response:
        """Delete everything about a user; events of that time stay forgotten if they are delivered again."""
        user_id = path_id(request, "user_id")
        services = self._engine.services
        await self._engine.writer.run(lambda: erase_user(services.store, user_id, clock=services.clock))
        return json_reply({"user_id": user_id, "status": "erased"})


def as_json(told: UserInterest) -> dict[str, Any]:
    """An interest as it is sent."""
    interest = told.interest

    def shares(values: FloatArray) -> dict[str, float]:
        return {topic: round(share, 4) for topic, share in zip(interest.topics, values.tolist(), strict=True) if share}

    return {
        "user_id": told.user_id,
        "user_seq": told.user_seq,
        "events": told.num_events,
        "topics": list(interest.topics),
        "short_term": shares(interest.short_term),
        "long_term": shares(interest.long_term),
        "history": {
            "bucket_ms": interest.bucket_ms,
            "buckets": [
                {"start": bucket.start_ms, "events": bucket.num_events, "shares": shares(bucket.shares)}
                for bucket in interest.buckets
            ],
        },
        "drift": _drift(interest.drift),
    }


def _drift(drift: Drift) -> dict[str, Any]:
    found = drift.found
    return {
        "found": found,
        "score": None if drift.score is None else round(drift.score, 4),
        "threshold": drift.threshold,
        "explanation": drift.explanation,
        "since": drift.since_ms,
        "distance": None if drift.distance is None else round(drift.distance, 4),
        "origin": list(drift.origin) if found else None,
        "target": list(drift.target) if found else None,
        "events_since": drift.num_since if found else None,
        "events_to_target": drift.num_target if found else None,
    }
