"""The HTTP server: uvicorn on a socket opened here, stopped without losing a request.

Independent of the routes.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from core.errors import InvalidSettings
from serving.http.connections import Connection
from serving.http.handshakes import TlsListener
from serving.http.repeated_lines import limited_lines
from serving.http.security import check_exposure


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of HTTPS: the certificate with those that signed it, and its key (None: in the same file)."""

    certificate: Path
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """How the server speaks TLS; raises `InvalidSettings` where the files cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 and later
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            msg = f"server.tls_certificate: {self.certificate} and its key cannot be used ({error}); name PEM files"
            raise InvalidSettings(msg) from error
        return context


# Of every answer by HTTPS: for a year browsers use HTTPS alone for the host name.
HTTPS_ALONE = ("Strict-Transport-Security", "max-age=31536000")
LIMITED_LOGGERS = ("uvicorn.error", "serving.routes.sign_in")  # of lines that anybody can cause
CHECK_PERIOD_S = 1.5  # at most, between two checks of all connections, unless the process was suspended

OnBound = Callable[[str, int], None]  # (host, port), once the server answers


def _ignore(_host: str, _port: int) -> None:
    """The caller does not need the port."""


def _nothing() -> None:
    """No line is left out before the server runs."""


class Server(uvicorn.Server):
    """Runs an app until a signal or `stop`; both let requests in flight finish first.

    Unlike `uvicorn.Server`, it returns after SIGINT and SIGTERM, so that the caller can release its resources; a second
    Ctrl-C stops at once. Raises `InvalidSettings` if other machines could reach an API without a key.
    """

    def __init__(
        self,
        app: FastAPI,
        *,
        host: str,
        port: int,
        on_bound: OnBound = _ignore,
        grace_s: int = 10,
        access_log: bool = False,
        shares_port: bool = False,
        tls: Tls | None = None,
    ) -> None:
        check_exposure(host, app.state.services.api_key)
        self._tls = tls.context() if tls else None
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="uvloop",
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,  # logging is configured by the program
                access_log=access_log,
                server_header=False,
                headers=[HTTPS_ALONE] if tls else [],
                proxy_headers=False,  # nothing depends on a client's address
                timeout_graceful_shutdown=grace_s,
                timeout_keep_alive=30,
            )
        )
        self._host = host
        self._port = port
        self._on_bound = on_bound
        self._shares_port = shares_port
        self._checked_at = 0.0
        self._sum_up_lines: Callable[[], None] = _nothing

    def run_until_stopped(self) -> None:
        """Listen, serve, and return when stopped; raises `InvalidSettings` if the address is unavailable."""
        with _bound(self._host, self._port, shared=self._shares_port) as listener:
            self._port = listener.getsockname()[1]
            # Connections inherit it: else closed ones, which the kernel keeps for a minute, block the next server.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with limited_lines(*LIMITED_LOGGERS) as self._sum_up_lines:
                self.run(sockets=[listener])

    def stop(self) -> None:
        """Ask the server to stop; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, or with sockets of TLS, then report the port."""
        await super().startup(sockets=[] if self._tls else sockets)
        if self.started:
            if self._tls:
                self.servers = [self._listening(listener, self._tls) for listener in sockets or ()]  # type: ignore[misc]
            self._on_bound(self._host, self._port)

    def _listening(self, listener: socket.socket, context: ssl.SSLContext) -> TlsListener:
        def new_connection() -> Connection:
            return Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        return TlsListener(listener, context, new_connection, backlog=self.config.backlog)

    async def on_tick(self, counter: int) -> bool:
        """Every second, end connections whose clients are too slow, and sum up log lines; called every .1 s."""
        if not counter % 10:
            self._sum_up_lines()
            now = asyncio.get_running_loop().time()
            lost_s = max(0.0, now - self._checked_at - CHECK_PERIOD_S) if counter else 0.0
            self._checked_at = now
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check(now, lost_s=lost_s)
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while serving (in the main thread; elsewhere call `stop`)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    on_bound: OnBound = _ignore,
    grace_s: int = 10,
    access_log: bool = False,
    shares_port: bool = False,
    tls: Tls | None = None,
) -> None:
    """Serve an app of `create_app` until SIGINT or SIGTERM. `port` 0 takes a free one; `on_bound` receives it.

    `shares_port`: other processes of this user may listen on the port too, as `reserved_port` lets them.
    `tls`: serve HTTPS. Raises `InvalidSettings` if the address is taken, or open to other machines without an API key.
    """
    Server(
        app,
        host=host,
        port=port,
        on_bound=on_bound,
        grace_s=grace_s,
        access_log=access_log,
        shares_port=shares_port,
        tls=tls,
    ).run_until_stopped()


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """The port, a free one for 0, kept for processes that share it; raises `InvalidSettings` if it is taken."""
    with _bound(host, port) as probe:  # fails where another program shares the port, which a shared socket would not
        port = probe.getsockname()[1]
    with _bound(host, port, shared=True):
        yield port


@contextmanager
def _bound(host: str, port: int, *, shared: bool = False) -> Iterator[socket.socket]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(addresses, key=lambda info: info[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        msg = f"server.host: {host!r} is no address of this machine ({error.strerror}); listen on 127.0.0.1 or 0.0.0.0"
        raise InvalidSettings(msg) from None
    with listener:
        try:
            _bind(listener, address, shared=shared)
        except OSError as error:
            hint = "choose another port, or 0 for a free one"
            msg = f"server.port: {host}:{port} is unavailable ({error.strerror}); {hint}"
            raise InvalidSettings(msg) from None
        yield listener


def _bind(listener: socket.socket, address: Any, *, shared: bool) -> None:
    if not shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(address)
    except OSError:  # perhaps connections that a server which did not share the port has closed: they linger a minute
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # else others could bind the port, too
