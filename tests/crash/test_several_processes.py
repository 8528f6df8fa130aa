"""`tidewise up --processes 2`: one port, one database; a process may be killed while clients go on."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from oracle import Snapshot, assert_consistent, event_key
from services.small_shop import WINDOW_SIZE, WINDOW_STEP
from services.up_process import up

TIME_MS = 1_710_000_000_000
RETRY_S = 0.02


class Client:
    """Posts an event after the other, each until it is acknowledged, and asks for an answer after each."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: list[str] = []
        self.wrong: list[str] = []

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            event = {"event_id": f"e{number}", "user_id": "ann", "item_id": "item-1", "time": TIME_MS + number}
            self._until_answered(lambda event=event: httpx.post(f"{self._url}/v1/interactions", json=event))
            self.acknowledged.append(event["event_id"])
            number += 1
            answer = self._until_answered(lambda: httpx.get(f"{self._url}/v1/users/ann/recommendations")).json()
            if answer["user_seq"] != number:  # whichever process answers
                self.wrong.append(f"{answer['user_seq']} events after {number}")

    def _until_answered(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        while True:
            try:
                response = ask()
            except httpx.TransportError:
                time.sleep(RETRY_S)
                continue
            return response.raise_for_status()


def requests_counted(url: str) -> int:
    text = httpx.get(f"{url}/metrics").text
    counted = re.findall(r'tidewise_http_requests_total\{[^}]*route="/health"[^}]*\} (\S+)', text)
    return int(sum(map(float, counted)))


@pytest.mark.timeout(300)
def test_clients_go_on_while_an_api_and_the_monitor_are_killed(shop: Path) -> None:
    with up(shop, options=["--processes", "2"]) as (server, url):
        first = server.supervised()
        assert len(first) == 3  # two APIs and the monitor
        for number in range(8):  # over new connections, which the kernel spreads
            httpx.get(f"{url}/health").raise_for_status()
            # A process counts a request once it has answered, and the next may be answered by the other one.
            server.until(lambda number=number: requests_counted(url) == number + 1)
        with Client(url) as client:
            for pid in (first[0], first[2]):
                num_before = len(client.acknowledged)
                server.until(lambda num_before=num_before: len(client.acknowledged) > num_before + 5)
                os.kill(pid, signal.SIGKILL)
                server.until(lambda pid=pid: len(server.supervised()) == 3 and pid not in server.supervised())
            server.until(lambda: server.log.count("it is started again") == 2)
            num_before = len(client.acknowledged)
            server.until(lambda: len(client.acknowledged) > num_before + 20)
        assert client.wrong == []
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    snapshot = Snapshot(shop / "tidewise.db")
    assert {event_key(name) for name in client.acknowledged} <= {event.key for event in snapshot.events}
    assert_consistent(snapshot, size=WINDOW_SIZE, step=WINDOW_STEP)
