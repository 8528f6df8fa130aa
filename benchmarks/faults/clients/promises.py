"""What clients were told, in plain Python: the oracle of a campaign, without a line of the product."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer: for whom, by which arm, its items in order, and when it came (s, monotonic)."""

    user_id: str
    arm: str
    item_ids: tuple[str, ...]
    at_s: float


@dataclass
class Promises:
    """Of one client, whose users and items belong to no other.

    `events`: the acknowledged ones by id. `unanswered`: events whose client gave up: they may be stored or not.
    `undone`: ids of undone events. `merged`: guests with their user. `erased`: users. `items`: the last acknowledged
    fields of each item, None: removed. `attributes`: the last acknowledged ones of each user. `shown`: answers by
    recommendation id. `wrong`: answers that broke a promise.
    """

    events: dict[str, Json] = field(default_factory=dict)
    unanswered: dict[str, Json] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    items: dict[str, Json | None] = field(default_factory=dict)
    attributes: dict[str, Json] = field(default_factory=dict)
    expired_s: dict[str, float] = field(default_factory=dict)
    arms: dict[str, str] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    shown: dict[str, Shown] = field(default_factory=dict)
    wrong: Counter[str] = field(default_factory=Counter)

    def owner(self, user_id: str) -> str:
        """The user that an id means."""
        return self.merged.get(user_id, user_id)

    def stored_events(self) -> dict[str, tuple[str, str, int]]:
        """User, item and time of each event that must be stored, by event id."""
        return {
            event_id: (self.owner(event["user_id"]), event["item_id"], event["time"])
            for event_id, event in self.events.items()
            if event_id not in self.undone and event["user_id"] not in self.erased
        }

    def outcomes(self) -> dict[str, tuple[str, int]]:
        """Recommendation id and position, from 1, of each stored event that names an answer with its item."""
        positions = {}
        for event_id in self.stored_events():
            answer = self.shown.get(self.events[event_id].get("recommendation_id", ""))
            if answer is not None:
                event = self.events[event_id]
                positions[event_id] = (event["recommendation_id"], answer.item_ids.index(event["item_id"]) + 1)
        return positions


def merged(clients: list[Promises]) -> Promises:
    """The promises to all clients."""
    whole = Promises()
    for client in clients:
        for name in ("events", "unanswered", "merged", "items", "attributes", "shown"):
            getattr(whole, name).update(getattr(client, name))
        whole.undone |= client.undone
        whole.erased |= client.erased
        whole.wrong += client.wrong
    return whole
