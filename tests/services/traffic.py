"""Clients that go on posting events while their server is killed, and the log of what they were told.

A client behaves as a real one: where the answer is lost it sends the same events again, now and then it gives up. It
knows nothing about the database: what it was told is the oracle.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

Event = dict[str, Any]

NEWEST_MS = 1_710_000_000_000  # after all of the simulated history
DAY_MS = 86_400_000
KINDS = ("view", "view", "view", "click", "cart", "purchase", "dislike", "impression")
LARGEST_BATCH = 40
SINGLE, LATE, REPEATED, GIVES_UP = 0.5, 0.2, 0.1, 0.2  # the chances of each
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the server said about one event."""

    status: str
    user_seq: int


class Ledger:
    """What all clients know. Read it while they pause.

    `sent`: every event, by id. `told`: everything said about each event that was acknowledged. `lost`: the events of
    requests that got no answer, whether or not they were sent again.
    """

    def __init__(self) -> None:
        self.sent: dict[str, Event] = {}
        self.told: dict[str, list[Told]] = {}
        self.lost: set[str] = set()
        self.num_lost_requests = 0

    def send(self, events: Sequence[Event]) -> None:
        self.sent |= {event["event_id"]: event for event in events}

    def acknowledge(self, events: Sequence[Event], results: Sequence[dict[str, Any]]) -> None:
        for event, result in zip(events, results, strict=True):
            assert result["event_id"] == event["event_id"]
            self.told.setdefault(event["event_id"], []).append(Told(result["status"], result["user_seq"]))

    def lose(self, events: Sequence[Event]) -> None:
        self.num_lost_requests += 1
        self.lost |= {event["event_id"] for event in events}

    def newest_seqs(self) -> Counter[str]:
        """The highest sequence number that anybody was told about each user."""
        newest: Counter[str] = Counter()
        for event_id, told in self.told.items():
            user_id = self.sent[event_id]["user_id"]
            newest[user_id] = max(newest[user_id], *(one.user_seq for one in told))
        return newest


class Traffic:
    """Client threads, held until `resume` names a server; `finish` has them settle what is open, and end."""

    def __init__(self, *, seed: int, num_clients: int, users: Sequence[str], items: Sequence[str]) -> None:
        self.ledger = Ledger()
        self.users = users
        self.items = items
        self._changed = threading.Condition()
        self._url: str | None = None
        self._finishing = False
        self._stopped = False
        self._in_flight = self._num_held = self._num_ended = 0
        self._failure: BaseException | None = None
        clients = [_Client(self, number, random.Random(seed * 1000 + number)) for number in range(num_clients)]
        self._threads = [threading.Thread(target=self._run, args=(client.run,), daemon=True) for client in clients]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def resume(self, url: str) -> None:
        """Let the clients go on, with the server at `url`."""
        with self._changed:
            self._url = url
            self._changed.notify_all()

    def wait_in_flight(self, *, num_acknowledged: int, num_requests: int) -> None:
        """Until that many events have been acknowledged in all and that many requests are on their way."""
        self._wait(lambda: len(self.ledger.told) >= num_acknowledged and self._in_flight >= num_requests)

    def pause(self) -> None:
        """Hold the clients; returns when all of them have noticed."""
        with self._changed:
            self._url = None
        self._wait(lambda: self._num_held == len(self._threads))

    def finish(self) -> None:
        """Let the clients send again what they mean to, and end."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()
        self._wait(lambda: self._num_ended == len(self._threads))

    def stop(self) -> None:
        """End the clients wherever they are."""
        with self._changed:
            self._finishing = self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def exchange(self, http: httpx.Client, url: str, events: Sequence[Event]) -> bool:
        """Post events and write down what becomes of them; False where no answer came."""
        with self._changed:
            self.ledger.send(events)
            self._in_flight += 1
            self._changed.notify_all()
        response = _post(http, url, events)
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
            if response is None or response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                self.ledger.lose(events)
                return False
            assert response.status_code == httpx.codes.OK, response.text
            self.ledger.acknowledge(events, response.json()["results"])
            return True

    def next_server(self, *, after: str | None) -> str | None:
        """The server to talk to, once there is another one than `after`; None when finishing."""
        with self._changed:
            self._num_held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped or self._url not in (None, after))
            self._num_held -= 1
            return None if self._stopped else self._url

    @property
    def finishing(self) -> bool:
        return self._finishing

    def _run(self, work: Callable[[], None]) -> None:
        failure = None
        try:
            work()
        except BaseException as error:
            failure = error
        with self._changed:
            self._failure = self._failure or failure
            self._num_ended += 1
            self._changed.notify_all()

    def _wait(self, reached: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._failure is not None or reached(), PATIENCE_S)
            if self._failure is not None:
                raise self._failure


class _Client:
    """One client: new events, some late, some sent twice; after a lost answer the same again, or nothing."""

    def __init__(self, traffic: Traffic, number: int, rng: random.Random) -> None:
        self._traffic = traffic
        self._number = number
        self._rng = rng
        self._num_made = 0
        self._acknowledged: list[Event] = []

    def run(self) -> None:
        gone, again = None, []
        while url := self._traffic.next_server(after=gone):
            with httpx.Client(timeout=PATIENCE_S) as http:
                events = again
                while True:
                    if not events and self._traffic.finishing:
                        return
                    events = events or self._make()
                    if not self._traffic.exchange(http, url, events):
                        break
                    self._acknowledged += events[:1]
                    events = []
            gone, again = url, ([] if self._rng.random() < GIVES_UP else events)

    def _make(self) -> list[Event]:
        size = 1 if self._rng.random() < SINGLE else self._rng.randint(2, LARGEST_BATCH)
        events = [self._event() for _ in range(size)]
        if self._acknowledged and self._rng.random() < REPEATED:
            events.append(self._rng.choice(self._acknowledged))
        return events

    def _event(self) -> Event:
        self._num_made += 1
        late_ms = self._rng.randint(0, 60 * DAY_MS) if self._rng.random() < LATE else 0
        return {
            "event_id": f"client-{self._number}-{self._num_made}",
            "user_id": self._rng.choice(self._traffic.users),
            "item_id": self._rng.choice(self._traffic.items),
            "type": self._rng.choice(KINDS),
            "time": NEWEST_MS + self._num_made * 1000 - late_ms,
        }


def _post(http: httpx.Client, url: str, events: Sequence[Event]) -> httpx.Response | None:
    try:
        return http.post(f"{url}/v1/interactions", json={"events": events} if len(events) > 1 else events[0])
    except httpx.TransportError:
        return None
