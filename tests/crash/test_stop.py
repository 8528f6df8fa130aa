"""Shutdown of a server, and two servers on one folder."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from oracle import Snapshot, event_key
from services.up_process import UpProcess, quiet_environment, up

NUM_REQUESTS = 4
BATCH = 100
TIME_MS = 1_710_000_000_000


class HalfSentRequest:
    """A request in flight: the server has read its headers and asks for its body."""

    def __init__(self, stack: ExitStack, port: int, number: int) -> None:
        self.event_ids = [f"half-{number}-{index}" for index in range(BATCH)]
        events = [
            {"event_id": name, "user_id": f"user-{number}", "item_id": "item-1", "time": TIME_MS + index}
            for index, name in enumerate(self.event_ids)
        ]
        self._body = json.dumps({"events": events}).encode()
        self._connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        headers = f"Host: 127.0.0.1:{port}\r\nContent-Length: {len(self._body)}\r\nExpect: 100-continue\r\n\r\n"
        self._connection.sendall(b"POST /v1/interactions HTTP/1.1\r\n" + headers.encode())
        assert self._connection.recv(100).startswith(b"HTTP/1.1 100")

    def finish(self) -> str:
        """Send the body; what the server answers until it closes the connection."""
        self._connection.sendall(self._body)
        received = b""
        while more := self._connection.recv(65536):
            received += more
        return received.decode()


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.usefixtures("real_start")
def test_sigterm_answers_requests_in_flight_and_exits_with_0(shop: Path) -> None:
    with up(shop) as (server, url), ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        requests = [HalfSentRequest(stack, port, number) for number in range(NUM_REQUESTS)]
        server.signal(signal.SIGTERM)
        server.until(lambda: refuses(port))
        for request in requests:
            assert request.finish().startswith("HTTP/1.1 200")
        assert server.wait(timeout_s=20) == 0, server.log
        assert "Traceback" not in server.log
    stored = {event.key for event in Snapshot(shop / "tidewise.db").events}
    assert {event_key(name) for request in requests for name in request.event_ids} <= stored


def test_a_second_server_on_the_same_folder_is_refused(shop: Path) -> None:
    first = UpProcess(shop)
    first.start()
    try:
        lock = shop / "up.lock"
        first.until(lambda: lock.exists() and lock.read_text() == str(first.pid))
        command = [sys.executable, "-P", "-m", "tidewise", "up", "--data", str(shop), "--port", "0"]
        second = subprocess.run(
            command, env=quiet_environment(), capture_output=True, text=True, check=False, timeout=60
        )
        assert first.runs()
    finally:
        first.kill()
    assert second.returncode == 2
    assert f"in use by another `tidewise up` (process {first.pid})" in second.stderr
    assert "choose another --data" in second.stderr
