"""Clients that keep posting and correcting events while their server is killed, and a ledger of the answers.

A client without an answer sends the same events again, or gives up. Clients undo events of theirs, sent again later or
not, merge a guest each into a user, and patch an item and a user each. Independent of the database, so that its ledger
is the oracle.
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
UNDONE, MERGED, PATCHED = 0.15, 0.1, 0.25  # of each request that was answered
EXPIRED_MS = NEWEST_MS - DAY_MS  # until when expired items were available; the wall clock of answers is later
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The server's answer about one event."""

    status: str
    user_seq: int


class Ledger:
    """The requests and answers of all clients; to be read while they pause.

    `sent`: every event by id. `acknowledged`: the answers about each acknowledged event. `lost`: events of requests
    without an answer, whether or not they were sent again. `undone`, and `merged` (with the user of each guest): False
    for those without an answer, which may have happened. `patched`: by path, the rounds of patches that may stand
    there: the last answered one, and those without an answer since.
    """

    def __init__(self) -> None:
        self.sent: dict[str, Event] = {}
        self.acknowledged: dict[str, list[Acknowledgement]] = {}
        self.lost: set[str] = set()
        self.undone: dict[str, bool] = {}
        self.merged: dict[str, tuple[str, bool]] = {}
        self.patched: dict[str, list[int]] = {}
        self.num_lost_requests = 0

    def send(self, events: Sequence[Event]) -> None:
        self.sent |= {event["event_id"]: event for event in events}

    def acknowledge(self, events: Sequence[Event], results: Sequence[dict[str, Any]]) -> None:
        for event, result in zip(events, results, strict=True):
            assert result["event_id"] == event["event_id"]
            self.acknowledged.setdefault(event["event_id"], []).append(
                Acknowledgement(result["status"], result["user_seq"])
            )

    def lose(self, events: Sequence[Event]) -> None:
        self.num_lost_requests += 1
        self.lost |= {event["event_id"] for event in events}

    def owners(self, user_id: str) -> set[str]:
        """The users that events of an id may belong to."""
        owner, is_answered = self.merged.get(user_id, (user_id, True))
        return {owner} if is_answered else {owner, user_id}

    def newest_seqs(self) -> Counter[str]:
        """The highest acknowledged sequence number of each user."""
        newest: Counter[str] = Counter()
        for event_id, answers in self.acknowledged.items():
            user_id = self.sent[event_id]["user_id"]
            newest[user_id] = max(newest[user_id], *(answer.user_seq for answer in answers))
        return newest


class Traffic:
    """Client threads that wait for `resume` with a server; `finish` lets them repeat lost requests and end."""

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
        """Resume the clients with the server at `url`."""
        with self._changed:
            self._url = url
            self._changed.notify_all()

    def wait_in_flight(self, *, num_acknowledged: int, num_requests: int) -> None:
        """Wait until so many events are acknowledged and so many requests are in flight."""
        self._wait(lambda: len(self.ledger.acknowledged) >= num_acknowledged and self._in_flight >= num_requests)

    def pause(self) -> None:
        """Pause the clients; returns when all of them have stopped."""
        with self._changed:
            self._url = None
        self._wait(lambda: self._num_held == len(self._threads))

    def finish(self) -> None:
        """Let the clients repeat their lost requests, and end them."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()
        self._wait(lambda: self._num_ended == len(self._threads))

    def stop(self) -> None:
        """End the clients at once."""
        with self._changed:
            self._finishing = self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    def exchange(self, http: httpx.Client, url: str, events: Sequence[Event]) -> bool:
        """Post events and record the answers; False if none came."""
        with self._changed:
            self.ledger.send(events)
            self._in_flight += 1
            self._changed.notify_all()
        response = _post(http, url, events)
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
            if response is None:
                self.ledger.lose(events)
                return False
            assert response.status_code == httpx.codes.OK, response.text
            self.ledger.acknowledge(events, response.json()["results"])
            return True

    def undo(self, http: httpx.Client, url: str, event_id: str) -> bool:
        """Undo an event and record the answer; False if none came."""
        with self._changed:
            self.ledger.undone[event_id] = False
        response = _answered(lambda: http.delete(f"{url}/v1/interactions/{event_id}"))
        if response is None:
            return False
        assert response.status_code == httpx.codes.OK, response.text
        with self._changed:
            self.ledger.undone[event_id] = True
        return True

    def merge(self, http: httpx.Client, url: str, guest: str, user_id: str) -> bool:
        """Merge a guest into a user and record the answer; False if none came."""
        with self._changed:
            self.ledger.merged[guest] = (user_id, False)
        response = _answered(lambda: http.post(f"{url}/v1/users/{user_id}/merge", json={"from": guest}))
        if response is None:
            return False
        assert response.status_code == httpx.codes.OK, response.text
        with self._changed:
            self.ledger.merged[guest] = (user_id, True)
        return True

    def patch(self, http: httpx.Client, url: str, path: str, number: int, fields: dict[str, Any]) -> bool:
        """Patch an item or a user, with a round number as attribute, and record the answer; False if none came."""
        with self._changed:
            self.ledger.patched.setdefault(path, [0]).append(number)
        body = {"attributes": {"round": number}, **fields}
        response = _answered(lambda: http.patch(f"{url}{path}", json=body))
        if response is None:
            return False
        assert response.status_code == httpx.codes.OK, response.text
        with self._changed:
            self.ledger.patched[path] = [number]
        return True

    def next_server(self, *, after: str | None) -> str | None:
        """The next server after `after`, once it is known; None when finishing."""
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
            assert self._changed.wait_for(lambda: self._failure is not None or reached(), TIMEOUT_S)
            if self._failure is not None:
                raise self._failure


class _Client:
    """One client: new events, some late, some sent twice; after a lost answer the same events again, or none."""

    def __init__(self, traffic: Traffic, number: int, rng: random.Random) -> None:
        self._traffic = traffic
        self._number = number
        self._rng = rng
        self._num_made = self._num_patches = 0
        self._acknowledged: list[Event] = []

    def run(self) -> None:
        gone, again = None, []
        while url := self._traffic.next_server(after=gone):
            with httpx.Client(timeout=TIMEOUT_S) as http:
                events = again
                while True:
                    if not events and self._traffic.finishing:
                        return
                    events = events or self._make()
                    if not self._traffic.exchange(http, url, events):
                        break
                    self._acknowledged += events[:1]
                    events = []
                    if not self._correct(http, url):
                        break
            gone, again = url, ([] if self._rng.random() < GIVES_UP else events)

    def _correct(self, http: httpx.Client, url: str) -> bool:
        """Undo an event, merge the client's guest or patch its item or user, now and then; False if no answer came."""
        chance = self._rng.random()
        if chance < UNDONE:
            return self._traffic.undo(http, url, self._rng.choice(self._acknowledged)["event_id"])
        if chance < UNDONE + MERGED:
            return self._traffic.merge(http, url, f"guest-{self._number}", self._traffic.users[self._number])
        if chance < UNDONE + MERGED + PATCHED:
            return self._patch(http, url)
        return True

    def _patch(self, http: httpx.Client, url: str) -> bool:
        """Every other patch of the item lets it expire, the next one brings it back."""
        self._num_patches += 1
        if self._rng.random() < 0.5:
            path, fields = f"/v1/users/{self._traffic.users[self._number]}", {}
        else:
            path = f"/v1/items/{self._traffic.items[self._number]}"
            fields = {"available_until": EXPIRED_MS if self._num_patches % 2 else None}
        return self._traffic.patch(http, url, path, self._num_patches, fields)

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
    return _answered(
        lambda: http.post(f"{url}/v1/interactions", json={"events": events} if len(events) > 1 else events[0])
    )


def _answered(request: Callable[[], httpx.Response]) -> httpx.Response | None:
    """The response; None if none came, or the server is not ready."""
    try:
        response = request()
    except httpx.TransportError:
        return None
    return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response
