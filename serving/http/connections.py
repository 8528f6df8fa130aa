"""Connections: limits on how much and how slowly a client may send, before any route or key check runs.

uvicorn's protocol limits neither the size of headers nor the time of a request, queues any number of pipelined
requests, treats trailers as headers, and waits forever for a client that does not read: any client that can connect
could use up memory and files. This protocol answers with an error and closes the connection.
"""

from __future__ import annotations

import re
import resource
from collections import deque
from functools import cache
from typing import Any, cast

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.http.replies import ALWAYS, RETRY_AFTER_S, error_body, json_reply

MAX_HEAD_BYTES = 64 * 2**10  # of the request line with its headers; of trailers; of the extension of a chunk
MAX_HEADERS = 200  # of a request; short ones take 20 times their bytes of memory
MAX_PIPELINED = 32  # requests that wait for the one before them; with more, the connection closes after these
RECEIVING_S = 30.0  # in which a request must arrive, counted from the connection or its first byte
MIN_BYTES_PER_S = 64 * 2**10  # a body extends that time by its bytes at this rate
SENDING_S = 30.0  # how long a client may read nothing of its answer
MAX_CONNECTIONS = 4_096  # that a process serves, if it may open twice as many files; as many more are answered 503
LINGER_S = 2.0  # how long a refused connection reads on, without use for what it reads
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:[0-9]*)?")  # a name or address, and a port
OTHER_FILES = 256  # open files that are not connections: database, log, models


@cache
def max_connections() -> int:
    """How many connections are served at a time; from now on the process may open the files that they need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, (allowed - OTHER_FILES) // 2)


async def too_many_connections(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503: the application of a connection above `max_connections`."""
    body = error_body("overloaded", "there are too many connections; send this request again later")
    headers = {"Retry-After": str(RETRY_AFTER_S), "Connection": "close"}
    await json_reply(body, status=503, headers=headers)(scope, receive, send)


class _Flow(FlowControl):
    """Reads no more while pipelined requests wait."""

    def __init__(self, transport: Any, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class _Transport:
    """A transport that can close as RFC 9112, section 9.6 asks: its own side first, while it reads on for a moment.

    A connection that is closed with unread data is reset, and answers that are still on their way are lost with it.
    """

    def __init__(self, transport: Any, loop: Any) -> None:
        self._transport, self._loop = transport, loop
        self.lingers = False  # what the client goes on to send is ignored
        self._is_ending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._is_ending or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send, unless this side has ended: what an application answers to a request that was refused is lost."""
        if not self.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close once what was written is sent."""
        if self.is_closing():
            return
        if not (self.lingers and self._transport.can_write_eof()):
            self._transport.close()
            return
        self._is_ending = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._loop.call_later(LINGER_S, self._transport.close)


class Connection(HttpToolsProtocol):
    """A connection within these limits. The server calls `check` every second."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._refusal = (400, "bad_request", "this is no valid request of HTTP/1.1")
        self._is_refused = False  # what arrives from now on is ignored
        self._num_unparsed = 0  # bytes since a head was complete, or a part of a body
        self._num_received = 0  # bytes of the body
        self._receiving_since: float | None = None  # None: one is being answered, or keep-alive
        self._num_unread = 0  # bytes of answers that the client has not read
        self._read_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        self._lingering = _Transport(transport, self.loop)
        super().connection_made(cast("Any", self._lingering))
        self.flow = _Flow(transport, self.pipeline)
        self._receiving_since = self._read_at = self.loop.time()
        if len(self.connections) > max_connections():
            self.app = too_many_connections
        if len(self.connections) > 2 * max_connections():
            transport.abort()

    @property
    def is_made(self) -> bool:
        """Whether the connection is there; before, its handshake may be on its way."""
        return self.transport is not None

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, within the limits."""
        if self._is_refused:
            return
        self._num_unparsed += len(data)
        super().data_received(data)
        if self._num_unparsed > MAX_HEAD_BYTES:
            self._refuse(*_too_large())
        elif self._receiving_since is None and self._is_idle:  # line breaks before a request, not reported
            self._receiving_since = self.loop.time()

    def on_message_begin(self) -> None:
        """Called by the parser, like the methods below."""
        super().on_message_begin()
        self._num_received = 0
        self._receiving_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if len(self.headers) == MAX_HEADERS:
            self._refusal = 431, "too_large", f"the request has more than {MAX_HEADERS} headers; send fewer"
            raise ValueError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, or queue it behind those before it."""
        if self._num_unparsed > MAX_HEAD_BYTES and _size_of(self.url, self.headers) > MAX_HEAD_BYTES:
            self._refusal = _too_large()
            raise ValueError
        if not self._has_valid_host():
            self._refusal = (
                400,
                "bad_request",
                "the request names no host, several, or none that is valid; send one `Host` header",
            )
            raise ValueError
        if len(self.pipeline) == MAX_PIPELINED:
            self._close_after_answers()
        if not self._is_refused:
            super().on_headers_complete()
        self.headers = []  # of trailers, which must not become headers of the request (RFC 9110, section 6.5.1)
        self._num_unparsed = 0

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._num_unparsed = 0
        self._num_received += len(body)
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has arrived."""
        self._num_unparsed = 0
        self._receiving_since = None
        if not self._is_refused:
            super().on_message_complete()

    def resume_writing(self) -> None:
        """The client has read."""
        self._read_at = self.loop.time()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read; called by uvicorn."""
        self._refuse(*self._refusal)

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if no upgrade was asked for (RFC 9110, section 7.8), and log nothing; called by uvicorn."""

    def check(self, now: float, *, lost_s: float = 0.0) -> None:
        """Close the connection if its client is too slow; `now`: by the clock of the event loop.

        `lost_s`: for how long this process did nothing, such as while it was suspended: no client was slow then.
        """
        if not self.is_made:
            return
        self._read_at += lost_s
        if self._receiving_since is not None:
            self._receiving_since += lost_s
        num_unread = self.transport.get_write_buffer_size()
        if not num_unread or num_unread < self._num_unread:
            self._read_at = now
        self._num_unread = num_unread
        if now - self._read_at > SENDING_S:
            self.transport.abort()
        if self._receiving_since is None:
            return
        if self.flow.read_paused:  # the client waits for us
            self._receiving_since = now
        elif now - self._receiving_since > RECEIVING_S + self._num_received / MIN_BYTES_PER_S:
            if self._is_idle and not self._num_unparsed:
                self.transport.close()  # a client that is just sending a request would take an error for its answer
            else:
                self._refuse(408, "timeout", "the request did not arrive in time; send it again")

    def _has_valid_host(self) -> bool:
        """As RFC 9112, section 3.2, asks; only clients of HTTP/1.0 may send none."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return bool(self.parser.get_http_version() == "1.0")
        return len(hosts) == 1 and HOST.fullmatch(hosts[0]) is not None

    @property
    def _is_idle(self) -> bool:
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer with an error, and close; complete requests are answered first."""
        if self._is_refused:
            return
        if self.pipeline or not (self._is_idle or self.cycle.more_body):
            self._close_after_answers()
            return
        self._is_refused = self._lingering.lingers = True
        if self.cycle is None or self._is_idle or not self.cycle.response_started:
            body = orjson.dumps(error_body(code, message))
            headers = {**ALWAYS, "Content-Type": "application/json", "Content-Length": f"{len(body)}"}
            lines = [f"{name}: {value}\r\n".encode() for name, value in {**headers, "Connection": "close"}.items()]
            lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
            self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()

    def _close_after_answers(self) -> None:
        """Answer the complete requests, then close."""
        self._is_refused = self._lingering.lingers = True
        self._receiving_since = None
        last = self.pipeline[0][0] if self.pipeline else self.cycle
        last.keep_alive = False


def _too_large() -> tuple[int, str, str]:
    return 431, "too_large", f"the request line and headers are larger than {MAX_HEAD_BYTES} bytes; send less"


def _size_of(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
