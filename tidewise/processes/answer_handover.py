"""Answers are stored by another process: API processes send them in batches over a Unix socket.

Storing and counting an answer takes 70 us of CPU, sending it half of one. A thread that stores keeps requests
waiting for the interpreter lock (GIL). What cannot be sent, or is not acknowledged, is stored by the sender itself; an
answer that both store counts once.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from threading import Lock, Thread

import orjson

from core.errors import StoreError
from core.records.outcomes import Answer, Origin

logger = logging.getLogger(__name__)

PATIENCE_S = 10.0  # until answers that are not acknowledged are stored by the sender
STORED, FAILED = b"+", b"-"


class AnswerSender:
    """Sends answers to the socket at a path; connects when there are some. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def __call__(self, answers: Sequence[Answer]) -> bool:
        """Whether the other process has stored them."""
        try:
            connection = self._socket or self._connected()
            connection.sendall(encoded(answers))
            if connection.recv(1) == STORED:
                return True
        except OSError as error:
            logger.debug("answers were not sent: %s", error)
        self.close()
        return False

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(str(self._path))
        return self._socket


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False  # senders keep their connections

    def __init__(self, path: Path, store: Callable[[Sequence[Answer]], object]) -> None:
        super().__init__(str(path), _Handler)
        self._store = store
        self._storing = Lock()
        self._is_open = True

    def stored(self, line: bytes) -> bool:
        """Store one batch; False where that failed or the process ends."""
        answers = decoded(line)
        with self._storing:
            if not self._is_open:
                return False
            try:
                self._store(answers)
            except StoreError as error:
                logger.debug("answers were not stored: %s", error)
                return False
        return True

    def end(self) -> None:
        """Let the batch in progress be stored, and store no other."""
        with self._storing:
            self._is_open = False


class _Handler(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One line per batch, until the sender ends the connection."""
        for line in self.rfile:
            if not line.endswith(b"\n"):
                return
            self.wfile.write(STORED if self.server.stored(line) else FAILED)


@contextmanager
def receiving(path: Path, store: Callable[[Sequence[Answer]], object]) -> Iterator[None]:
    """Pass what senders send to `store`, one batch at a time; it raises `StoreError` where that is not stored."""
    path.unlink(missing_ok=True)  # of a process that was killed
    with _Server(path, store) as server:
        thread = Thread(target=server.serve_forever, name="received answers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.end()
            server.shutdown()
            path.unlink(missing_ok=True)


def encoded(answers: Sequence[Answer]) -> bytes:
    """A line of JSON."""
    rows = [
        (a.recommendation_id, a.user_id, a.time_ms, (*a.origin,), a.item_ids, a.propensities, a.is_fallback, a.user_key)
        for a in answers
    ]
    return orjson.dumps(rows) + b"\n"


def decoded(line: bytes) -> list[Answer]:
    """The inverse of `encoded`."""
    return [
        Answer(
            answer_id,
            user_id,
            time_ms,
            Origin(*origin),
            tuple(item_ids),
            propensities and tuple(propensities),
            is_fallback,
            user_key,
        )
        for answer_id, user_id, time_ms, origin, item_ids, propensities, is_fallback, user_key in orjson.loads(line)
    ]
