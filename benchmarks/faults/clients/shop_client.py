"""A client of the shop: sends events, undoes, merges and erases, changes items and users, and reads recommendations.

Each has users and items of its own and one call at a time, so what must be stored follows from the answers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import httpx

from benchmarks.faults.clients.calls import Calls, Json, Outages
from benchmarks.faults.clients.promises import Promises, Shown
from benchmarks.faults.clients.work import StoppableWork
from core.clock import DAY_MS

NUM_USERS, LARGEST_BATCH = 4, 20
GIVES_UP, REPEATED, LATE = 0.05, 0.1, 0.2  # of each batch, each batch, each event
HIDDEN = 0.3  # of the items that are patched
KINDS = ("view", "view", "click", "cart", "purchase", "dislike")
CONNECTIONS = 20  # in a row that have reached a process which knows the experiment
EXPERIMENT, EXPERIMENT_SCENARIO = "campaign", "campaign"
EVENTS = "/v1/interactions?wait=applied"
NAMES = "shopper-"  # how the ids of its users, items and events begin
EXPIRED_MS = 600_000  # ago: also by a clock that is minutes late
FOLLOWED_S = 2.0  # how soon an answer must follow a change of an item through another process
CLIENT_PAUSE_S = 0.02


class ShopClient(StoppableWork):
    """One client. After `stop`, `promises` says what it was told."""

    def __init__(self, number: int, urls: Sequence[str], *, items: Sequence[str], seed: int, outages: Outages) -> None:
        """`urls`: of the APIs. `number`: of this client, from 0."""
        self.name = f"{NAMES}{number}"
        super().__init__(self.name)
        self.promises = Promises()
        self._urls, self._items, self._outages = urls, items, outages
        self._rng = random.Random(f"{seed}/{number}")
        self._users = [f"{self.name}-user-{index}" for index in range(NUM_USERS)]
        self.num_made = 0  # events

    def events_since(self, num_made: int) -> list[str]:
        """The ids of the events that it made after its first `num_made`."""
        return [f"{self.name}-{number}" for number in range(num_made + 1, self.num_made + 1)]

    def work(self) -> None:
        """Call at random until stopped."""
        actions = (
            (40, self._send_events),
            (30, self._ask),
            (8, self._undo),
            (4, self._merge),
            (2, self._erase),
            (8, self._change_item),
            (4, self._expire_item),
            (4, self._change_user),
        )
        weights, choices = zip(*actions, strict=True)
        with Calls(self._urls, self._outages) as self._calls:
            while not self.stopping.wait(CLIENT_PAUSE_S):
                action: Callable[[], None] = self._rng.choices(choices, weights)[0]
                action()

    def _event(self, user_id: str, item_id: str, **more: object) -> Json:
        self.num_made += 1
        late_ms = self._rng.randrange(30 * DAY_MS) if not more and self._rng.random() < LATE else 0
        event = {"event_id": f"{self.name}-{self.num_made}", "user_id": user_id, "item_id": item_id}
        return event | {"type": self._rng.choice(KINDS), "time": now_ms() - late_ms} | more

    def _send_events(self) -> None:
        user_ids = [*self._users, *(guest for guest in self.promises.merged)]
        events = [
            self._event(self._rng.choice(user_ids), self._rng.choice(self._items))
            for _ in range(self._rng.choice((1, 1, self._rng.randint(2, LARGEST_BATCH))))
        ]
        if self._rng.random() < GIVES_UP:
            self.promises.unanswered |= {event["event_id"]: event for event in events}
            response = self._calls.once("POST", EVENTS, json={"events": events})
            if response is not None and response.status_code == httpx.codes.OK:
                self._acknowledge(events, response.json())
            return
        repeatable = [event for event in self.promises.events.values() if event["user_id"] not in self.promises.erased]
        if repeatable and self._rng.random() < REPEATED:
            events.append(self._rng.choice(repeatable))
        self._send(events)

    def _send(self, events: list[Json]) -> None:
        self._acknowledge(events, self._calls.until_answered("POST", EVENTS, json={"events": events}))

    def _acknowledge(self, events: list[Json], body: Json) -> None:
        for event, result in zip(events, body["results"], strict=True):
            known = event["event_id"] in self.promises.events
            if result["status"] not in ("accepted", "duplicate") or (known and result["status"] == "accepted"):
                self.promises.wrong[f"an event {'sent again ' if known else ''}was {result['status']}"] += 1
            self.promises.events[event["event_id"]] = event
            self.promises.unanswered.pop(event["event_id"], None)
            owner = self.promises.owner(event["user_id"])
            self.promises.seqs[owner] = max(self.promises.seqs.get(owner, 0), result.get("user_seq", 0))

    def _ask(self, user_id: str = "") -> None:
        """Read an answer for a user, one of its own by default, and report what became of it."""
        user_id, asked_s = user_id or self._rng.choice(self._users), time.monotonic()
        params = {"n": 5, "scenario": EXPERIMENT_SCENARIO}
        answer = self._calls.until_answered("GET", f"/v1/users/{user_id}/recommendations", params=params)
        promises, item_ids = self.promises, tuple(item["item_id"] for item in answer["items"])
        if (answer["user_seq"] or 0) < promises.seqs.get(user_id, 0):
            promises.wrong["an answer without an acknowledged event"] += 1
        if promises.arms.setdefault(user_id, answer["arm"]) != answer["arm"]:
            promises.wrong["a user in two arms"] += 1
        if any(promises.expired_s.get(item_id, asked_s) + FOLLOWED_S < asked_s for item_id in item_ids):
            promises.wrong["an expired item was recommended"] += 1
        if not item_ids:
            return
        promises.shown[answer["recommendation_id"]] = Shown(user_id, answer["arm"] or "", item_ids, time.monotonic())
        chosen = self._rng.choice(item_ids)
        named = {"recommendation_id": answer["recommendation_id"]}
        seen = [self._event(user_id, item_id, type="impression", **named) for item_id in item_ids]
        kind = self._rng.choice(({"type": "click"}, {"type": "purchase", "value": self._rng.randrange(1, 50)}))
        self._send([*seen, self._event(user_id, chosen, **kind, **named)])

    def _undo(self) -> None:
        candidates = [name for name, event in self.promises.events.items() if event["user_id"] in self._users]
        if not candidates:
            return
        event_id = self._rng.choice(candidates)
        self._calls.until_answered("DELETE", f"/v1/interactions/{event_id}")
        self.promises.undone.add(event_id)

    def _merge(self) -> None:
        guest, user_id = f"{self.name}-guest-{len(self.promises.merged)}", self._rng.choice(self._users)
        self._send([self._event(guest, self._rng.choice(self._items)) for _ in range(3)])
        self._ask(guest)
        answer = self._calls.until_answered("POST", f"/v1/users/{user_id}/merge", json={"from": guest})
        self.promises.merged[guest] = user_id
        self.promises.seqs[user_id] = max(self.promises.seqs.get(user_id, 0), answer["user_seq"])

    def _erase(self) -> None:
        user_id = f"{self.name}-erased-{len(self.promises.erased)}"
        self._send([event := self._event(user_id, self._rng.choice(self._items))])
        self._ask(user_id)
        self._calls.until_answered("DELETE", f"/v1/users/{user_id}", done=(404,))
        self.promises.erased.add(user_id)
        body = self._calls.until_answered("POST", EVENTS, json={"events": [event]})
        if body["results"][0]["status"] != "erased":
            self.promises.wrong["an event of an erased user came back"] += 1

    def _change_item(self) -> None:
        known = [name for name, fields in self.promises.items.items() if fields is not None]
        chance = self._rng.random()
        if not known or chance < 0.4:
            fields = {"title": f"Item {self._rng.randrange(100)}", "stock": 5}
            item_id = f"{self.name}-item-{self._rng.randrange(10)}"
            self._calls.until_answered("PUT", f"/v1/items/{item_id}", json=fields)
            self.promises.items[item_id] = fields | {"available_until": None, "hidden": False}
            self.promises.expired_s.pop(item_id, None)
            return
        item_id = self._rng.choice(known)
        if chance < 0.8:
            fields = {"title": f"Item {self._rng.randrange(100)}", "stock": self._rng.randrange(1, 9)}
            fields |= {"hidden": self._rng.random() < HIDDEN}
            self._calls.until_answered("PATCH", f"/v1/items/{item_id}", json=fields)
            self.promises.items[item_id] = (self.promises.items[item_id] or {}) | fields
            return
        self._calls.until_answered("DELETE", f"/v1/items/{item_id}", done=(404,))
        self.promises.items[item_id] = None

    def _expire_item(self) -> None:
        known = [name for name, fields in self.promises.items.items() if fields is not None]
        if not known:
            return
        item_id, until = self._rng.choice(known), now_ms() - EXPIRED_MS
        self._calls.until_answered("PATCH", f"/v1/items/{item_id}", json={"available_until": until})
        self.promises.items[item_id] = (self.promises.items[item_id] or {}) | {"available_until": until}
        self.promises.expired_s.setdefault(item_id, time.monotonic())

    def _change_user(self) -> None:
        user_id, change = self._rng.choice(self._users), {self._rng.choice("abc"): self._rng.randrange(100)}
        self._calls.until_answered("PATCH", f"/v1/users/{user_id}", json={"attributes": change})
        self.promises.attributes[user_id] = self.promises.attributes.get(user_id, {}) | change


def prepare(urls: Sequence[str], outages: Outages) -> list[str]:
    """Store an experiment, whose arms answer in two ways; returns items of the catalogue."""
    with Calls(urls, outages) as calls:
        calls.until_answered("PUT", f"/v1/scenarios/{EXPERIMENT_SCENARIO}", json={"n": 5})
        arms = [{"name": "control", "share": 0.5}, {"name": "other", "share": 0.5}]
        start = now_ms() - EXPIRED_MS  # so that it has begun by a wrong clock too
        experiment = {"scenario": EXPERIMENT_SCENARIO, "arms": arms, "start": start}
        calls.until_answered("PUT", f"/v1/experiments/{EXPERIMENT}", json=experiment)
        _await_arms(urls, outages)
        return [item["item_id"] for item in calls.until_answered("GET", "/v1/items?limit=100")["items"]]


def _await_arms(urls: Sequence[str], outages: Outages) -> None:
    """Wait until every process has read the experiment: each connection may be of another one."""
    for url in urls:
        num_in_a_row = 0
        while num_in_a_row < CONNECTIONS:
            with Calls([url], outages) as calls:
                params = {"scenario": EXPERIMENT_SCENARIO, "record": "false"}
                answer = calls.until_answered("GET", "/v1/users/nobody/recommendations", params=params)
            num_in_a_row = num_in_a_row + 1 if "arm" in answer else 0


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000
