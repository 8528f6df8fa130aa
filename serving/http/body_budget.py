"""The budget of bodies: how many bytes of requests a process holds at a time, each until its request is answered.

The limit of one body does not protect the memory from a thousand clients that send 16 MiB each, nor do the limits of
queues, which count requests, not bytes.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Overloaded


class BodyBudget:
    """Raises `Overloaded` in the request whose body no longer fits beside those of others; one alone always fits."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._num_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        own = 0

        async def counted() -> Message:
            nonlocal own
            message = await receive()
            size = len(message.get("body", b""))
            if size and self._num_bytes > own and self._num_bytes + size > self._max_bytes:
                msg = f"{self._num_bytes} bytes of other requests are being worked on; send this one again later"
                raise Overloaded(msg)
            own += size
            self._num_bytes += size
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._num_bytes -= own
