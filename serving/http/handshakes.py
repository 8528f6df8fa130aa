"""Connections by TLS: accepted here, so that those whose handshake is not over count, and end, as all others do.

A server of asyncio tells a protocol of its connection once the handshake is over: clients that never begin one could
open as many connections as the process may open files, each for a minute.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from serving.http import connections
from serving.http.connections import Connection

PAUSE_S = 0.1  # after a connection could not be accepted, mostly because the process has too many open files


class TlsListener:
    """Accepts connections on a socket, and closes those that are too many or whose handshake takes too long.

    `close` and `wait_closed` are those of `asyncio.Server`, which uvicorn calls.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        new_connection: Callable[[], Connection],
        *,
        backlog: int,
    ) -> None:
        """Begin to listen; in the thread of the running event loop."""
        listener.listen(backlog)
        listener.setblocking(False)
        self._listener = listener
        self._context = context
        self._new_connection = new_connection
        self._loop = asyncio.get_running_loop()
        self._handshakes: dict[Connection, asyncio.Task[None]] = {}
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more connections, and end those whose handshake is not over."""
        self._accepting.cancel()
        for connection, handshake in self._handshakes.items():
            connection.connections.discard(connection)
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Return once everything has ended."""
        await asyncio.gather(self._accepting, *self._handshakes.values(), return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                accepted, _ = await self._loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(PAUSE_S)
                continue
            connection = self._new_connection()
            if len(connection.connections) >= 2 * connections.max_connections():
                accepted.close()
                continue
            connection.connections.add(connection)
            handshake = self._loop.create_task(self._shake_hands(connection, accepted))
            self._handshakes[connection] = handshake

    async def _shake_hands(self, connection: Connection, accepted: socket.socket) -> None:
        """Until the connection is made, or its client has gone or is too slow."""
        try:
            with suppress(OSError):  # errors of TLS and of time, too
                await self._loop.connect_accepted_socket(
                    lambda: connection,
                    accepted,
                    ssl=self._context,
                    ssl_handshake_timeout=connections.RECEIVING_S,
                )
        finally:
            del self._handshakes[connection]
            if not connection.is_made:
                connection.connections.discard(connection)
