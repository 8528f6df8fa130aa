"""DELETE /v1/users/{user_id}: forget somebody."""

from __future__ import annotations

from fastapi import Request, Response

from core.manage import erase_user
from serving.engine import Engine
from serving.replies import json_reply
from serving.requests import path_id


class UserRoutes:
    """Erasure."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def delete(self, request: Request) -> Response:
        """Delete everything about a user; events of that time stay forgotten if they are delivered again."""
        user_id = path_id(request, "user_id")
        services = self._engine.services
        await self._engine.writer.run(lambda: erase_user(services.store, user_id, clock=services.clock))
        return json_reply({"user_id": user_id, "status": "erased"})
