"""The demo's tour as calls: a click, a new item and a new user, each with what changed and how fast.

Uses the HTTP API only; `tidewise.demo.tour` prints the results.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidewise.client import ApiError, Client, Json

DEPTH = 200  # how many items of a category are searched for a new item
TIMEOUT_S = 20.0
PAUSE_S = 0.01
NO_SHOP = "the tour needs a shop with more items, in categories; run it on the demo's shop"
NEW_COLOURS = ("in gold", "in silver", "in rose", "in jade", "in pearl", "in onyx")


@dataclass(frozen=True, slots=True)
class Click:
    """A click and the answers before and after it. `changed_ms`: from sending it to receiving the changed answer."""

    user_id: str
    item: Json
    before: Json
    after: Json
    changed_ms: float


@dataclass(frozen=True, slots=True)
class NewItem:
    """A new item, recommended at `rank` of `num_ranked` in its category; `similar`: its most similar items.

    `recommended_ms`: from storing it to receiving an answer that recommends it.
    """

    item: Json
    user_id: str
    rank: int
    num_ranked: int
    similar: Json
    recommended_ms: float


@dataclass(frozen=True, slots=True)
class NewUser:
    """A new user: the first answer, the clicks, the answer after them."""

    user_id: str
    first: Json
    clicks: tuple[Json, ...]
    after: Json
    personal_ms: float


@dataclass(frozen=True, slots=True)
class Guide:
    """The steps of the tour of one shop; `now_s` and `pause` are the clock."""

    client: Client
    now_s: Callable[[], float] = time.perf_counter
    pause: Callable[[float], None] = time.sleep
    run: str = field(default_factory=lambda: secrets.token_hex(3))

    def click(self, user_id: str) -> Click:
        """The user clicks an item of another category; the recommendations change."""
        before = self.client.recommend(user_id)
        item = self._other_item(before)
        after, changed_ms = self._click(user_id, [item])
        return Click(user_id, item, before, after, changed_ms)

    def new_item(self, like: Json, user_id: str) -> NewItem:
        """A variant of an item is stored and recommended to the user within its category."""
        item = self._variant_of(like)
        category = item["categories"][0]
        start_s = self.now_s()
        self.client.put_item(item["item_id"], {name: value for name, value in item.items() if name != "item_id"})
        answer = self._until(
            f"item {item['item_id']} is recommended",
            lambda: self.client.recommend(user_id, n=DEPTH, category=category),
            lambda answer: item["item_id"] in ids_of(answer),
        )
        recommended_ms = (self.now_s() - start_s) * 1000
        rank = ids_of(answer).index(item["item_id"]) + 1
        similar = self.client.similar(item["item_id"], n=3)
        return NewItem(item, user_id, rank, len(answer["items"]), similar, recommended_ms)

    def new_user(self) -> NewUser:
        """A new user gets popular items, and after two clicks personal recommendations."""
        user_id = f"guest-{self.run}"
        first = self.client.recommend(user_id)
        if not categories_of(first):
            raise ApiError(NO_SHOP)
        category = categories_of(first)[-1]
        clicks = tuple(self.client.popular(n=2, category=category)["items"])
        after, personal_ms = self._click(user_id, clicks)
        return NewUser(user_id, first, clicks, after, personal_ms)

    def _click(self, user_id: str, items: Sequence[Json]) -> tuple[Json, float]:
        """Click the items and request recommendations until they reflect it; the answer and the milliseconds."""
        names = [f"tour-{self.run}-{user_id}-{item['item_id']}" for item in items]
        events = [
            {"event_id": name, "user_id": user_id, "item_id": item["item_id"], "type": "click"}
            for name, item in zip(names, items, strict=True)
        ]
        start_s = self.now_s()
        results = self.client.send(events)
        rejected = [result for result in results if result["status"] != "accepted"]
        if rejected:
            msg = f"the server did not accept the click: {rejected[0]}"
            raise ApiError(msg)
        newest = max(result["user_seq"] for result in results)
        answer = self._until(
            f"the answer for {user_id} follows the click",
            lambda: self.client.recommend(user_id),
            lambda answer: (answer["user_seq"] or 0) >= newest,
        )
        return answer, (self.now_s() - start_s) * 1000

    def _until(self, what: str, request: Callable[[], Json], is_done: Callable[[Json], bool]) -> Json:
        """Repeat a request until its answer is as expected; raises `ApiError` after the timeout."""
        deadline_s = self.now_s() + TIMEOUT_S
        while True:
            answer = request()
            if is_done(answer):
                return answer
            if self.now_s() > deadline_s:
                msg = f"timed out after {TIMEOUT_S:.0f} s waiting until {what}; see the server's log"
                raise ApiError(msg)
            self.pause(PAUSE_S)

    def _other_item(self, answer: Json) -> Json:
        """A popular item of no category in the answer, else any that is not in it."""
        popular = self.client.popular(n=100)["items"]
        categories, listed = set(categories_of(answer)), set(ids_of(answer))
        others = [item for item in popular if item["item_id"] not in listed and item["categories"]]
        if not others:
            raise ApiError(NO_SHOP)
        chosen: Json = next((item for item in others if not categories & set(item["categories"])), others[0])
        return chosen

    def _variant_of(self, like: Json) -> Json:
        """A new item like an existing one, in another colour."""
        known = self.client.item(like["item_id"])
        colour = NEW_COLOURS[int(self.run, 16) % len(NEW_COLOURS)]
        return {
            "item_id": f"new-{self.run}",
            "title": f"{known['title'].rpartition(' in ')[0] or known['title']} {colour}",
            "text": known["text"],
            "categories": known["categories"],
        }


def ids_of(answer: Json) -> list[str]:
    """The items of an answer, best first."""
    return [item["item_id"] for item in answer["items"]]


def categories_of(answer: Json) -> list[str]:
    """The categories in an answer, most frequent first."""
    counts = Counter(name for item in answer["items"] for name in item["categories"])
    return [name for name, _ in counts.most_common()]
