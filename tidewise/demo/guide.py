"""A guide through a running shop: a click, a new item and a new user, each with what changed and how fast.

Knows nothing about the server but its address, nor about how its findings are shown: that is `tidewise.demo.tour`.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidewise.client import ApiError, Client, Json

DEEP = 200  # how far down a category's list a new item is looked for
PATIENCE_S = 20.0
PAUSE_S = 0.01
NO_SHOP = "the tour needs a shop with more items, in categories; run it on the demo's shop"
CATCH_EYE = ("in gold", "in silver", "in rose", "in jade", "in pearl", "in onyx")


@dataclass(frozen=True, slots=True)
class Click:
    """A click and the answers around it. `changed_ms`: from sending the click to holding the changed answer."""

    user_id: str
    item: Json
    before: Json
    after: Json
    changed_ms: float


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item that entered. `entered_ms`: from putting it to holding an answer that recommends it, at `place` of
    `out_of` in its category; `similar` are its neighbours.
    """

    item: Json
    user_id: str
    place: int
    out_of: int
    similar: Json
    entered_ms: float


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user nobody knew: the first answer, the clicks, the answer after them."""

    user_id: str
    first: Json
    clicks: tuple[Json, ...]
    after: Json
    personal_ms: float


@dataclass(frozen=True, slots=True)
class Guide:
    """Walks through one shop; `now_s` and `pause` are the clock."""

    client: Client
    now_s: Callable[[], float] = time.perf_counter
    pause: Callable[[float], None] = time.sleep
    run: str = field(default_factory=lambda: secrets.token_hex(3))

    def click(self, user_id: str) -> Click:
        """The user clicks something unlike their list; the list follows."""
        before = self.client.recommend(user_id)
        item = self._unlike(before)
        after, changed_ms = self._click_and_ask(user_id, [item])
        return Click(user_id, item, before, after, changed_ms)

    def new_item(self, like: Json, user_id: str) -> NewItem:
        """An item like a given one enters and is recommended to the user within its category."""
        item = self._made_like(like)
        category = item["categories"][0]
        start_s = self.now_s()
        self.client.put_item(item["item_id"], {name: value for name, value in item.items() if name != "item_id"})
        answer = self._until(
            f"item {item['item_id']} is recommended",
            lambda: self.client.recommend(user_id, n=DEEP, category=category),
            lambda answer: item["item_id"] in ids_of(answer),
        )
        entered_ms = (self.now_s() - start_s) * 1000
        place = ids_of(answer).index(item["item_id"]) + 1
        similar = self.client.similar(item["item_id"], n=3)
        return NewItem(item, user_id, place, len(answer["items"]), similar, entered_ms)

    def new_user(self) -> NewUser:
        """Somebody new gets what is popular; after two clicks the list is theirs."""
        user_id = f"guest-{self.run}"
        first = self.client.recommend(user_id)
        if not categories_of(first):
            raise ApiError(NO_SHOP)
        category = categories_of(first)[-1]
        clicks = tuple(self.client.popular(n=2, category=category)["items"])
        after, personal_ms = self._click_and_ask(user_id, clicks)
        return NewUser(user_id, first, clicks, after, personal_ms)

    def _click_and_ask(self, user_id: str, items: Sequence[Json]) -> tuple[Json, float]:
        """Click the items, and ask until the answer has seen it; returns the answer and the milliseconds."""
        names = [f"tour-{self.run}-{user_id}-{item['item_id']}" for item in items]
        events = [
            {"event_id": name, "user_id": user_id, "item_id": item["item_id"], "type": "click"}
            for name, item in zip(names, items, strict=True)
        ]
        start_s = self.now_s()
        results = self.client.send(events)
        refused = [result for result in results if result["status"] != "accepted"]
        if refused:
            msg = f"the server did not accept the click: {refused[0]}"
            raise ApiError(msg)
        newest = max(result["user_seq"] for result in results)
        answer = self._until(
            f"the answer for {user_id} follows the click",
            lambda: self.client.recommend(user_id),
            lambda answer: (answer["user_seq"] or 0) >= newest,
        )
        return answer, (self.now_s() - start_s) * 1000

    def _until(self, what: str, ask: Callable[[], Json], good: Callable[[Json], bool]) -> Json:
        """Ask until the answer is good; raises `ApiError` when patience ends."""
        give_up_s = self.now_s() + PATIENCE_S
        while True:
            answer = ask()
            if good(answer):
                return answer
            if self.now_s() > give_up_s:
                msg = f"waited {PATIENCE_S:.0f} s until {what}, in vain; the server's log says more"
                raise ApiError(msg)
            self.pause(PAUSE_S)

    def _unlike(self, answer: Json) -> Json:
        """A popular item of no category in the answer, else any that is not in it."""
        popular = self.client.popular(n=100)["items"]
        taken, listed = set(categories_of(answer)), set(ids_of(answer))
        others = [item for item in popular if item["item_id"] not in listed and item["categories"]]
        if not others:
            raise ApiError(NO_SHOP)
        chosen: Json = next((item for item in others if not taken & set(item["categories"])), others[0])
        return chosen

    def _made_like(self, like: Json) -> Json:
        """A new item beside an old one: same kind and maker, a colour not seen before."""
        known = self.client.item(like["item_id"])
        colour = CATCH_EYE[int(self.run, 16) % len(CATCH_EYE)]
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
