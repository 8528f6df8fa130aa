"""Events, redeliveries and corrections applied to a store, and in plain Python to lists of what remains.

`ShopLog` knows the rules alone: an event counts once by its id, an undone event never again, an erased past stays
erased. `assert_equal` compares everything that a store derives with them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, ingestor

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.corrections.merge import merge_users
from core.corrections.undo import undo_event
from core.errors import InvalidInput, NotFound
from core.events.interactions import EventType, EventTypes, Interaction
from core.ingestion.derivation import Derivation
from core.ingestion.rebuild import rebuild
from core.ingestion.sources import RequestSource
from core.ingestion.verify import verify
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.ports.store import ReadTransaction, Store

DAY_MS = 86_400_000
TYPES = EventTypes(
    (
        EventType("click"),
        EventType("purchase", weight=5.0, value_weight="log"),
        EventType("dislike", window=False, weight=0.0, hide=True),
        EventType("impression", window=False, weight=0.0, seen=False),
        EventType("rating", value_weight="linear", dislike_below=3.0),
    )
)
DERIVATION = Derivation(TYPES, SHAPE)
USERS = ("ann", "bob", "guest", "visitor")
KINDS = tuple(TYPES.codes)
NUM_EVENTS = 24
Step = tuple[str, Sequence[int | str]]


def a_log(draw: Random) -> list[Interaction]:
    """Events in the order of their times, some at the same time; an order of arrival is a permutation of them."""
    return [
        Interaction(
            f"event-{index}",
            draw.choice(USERS),
            f"i{draw.randrange(5)}",
            draw.choice(KINDS),
            NOW_MS + index // 2 * DAY_MS,
            draw.choice([None, 1.0, 4.0]),
        )
        for index in range(NUM_EVENTS)
    ]


def is_windowed(event: Interaction) -> bool:
    """By hand: clicks, purchases, and ratings of three stars or more."""
    return event.type in ("click", "purchase") or (event.type == "rating" and event.value != 1.0)


def weight_of(event: Interaction) -> float:
    """By hand: 1, for purchases 5 * log2(1 + value), and the stars of ratings that are no dislikes."""
    if event.type == "purchase":
        return {None: 5.0, 1.0: 5.0, 4.0: 5.0 * math.log2(5.0)}[event.value]
    return 0.0 if not is_windowed(event) else event.value or 1.0 if event.type == "rating" else 1.0


class ShopLog:
    """What remains of the events, by user, in the order of their application."""

    def __init__(self) -> None:
        self.events: dict[str, list[Interaction]] = defaultdict(list)
        self.undone: dict[str, list[Interaction]] = defaultdict(list)
        self.erased_ms: dict[str, int] = {}
        self.owner: dict[str, str] = {}
        self.created: set[str] = set()  # users who are stored with or without events

    def copy(self) -> ShopLog:
        copied = ShopLog()
        for part, own in ((self.events, copied.events), (self.undone, copied.undone)):
            own.update({user_id: list(events) for user_id, events in part.items()})
        copied.erased_ms, copied.owner, copied.created = dict(self.erased_ms), dict(self.owner), set(self.created)
        return copied

    def send(self, events: Iterable[Interaction]) -> None:
        known = self.known()
        for event in events:
            if event.time_ms > self.erased_ms.get(event.user_id, -1) and event.event_id not in known:
                self.events[self.owner.get(event.user_id, event.user_id)].append(event)
                known.add(event.event_id)

    def known(self) -> set[str]:
        """The ids of all events that count or are undone."""
        parts = (self.events, self.undone)
        return {event.event_id for part in parts for events in part.values() for event in events}

    def undo(self, event_id: str) -> None:
        for user_id, events in self.events.items():
            for event in [event for event in events if event.event_id == event_id]:
                events.remove(event)
                self.undone[user_id].append(event)

    def merge(self, user_id: str, from_id: str) -> None:
        owner = self.owner.get(user_id, user_id)
        if owner == from_id or from_id in self.owner:
            return
        for part in (self.events, self.undone):
            part[owner] += part.pop(from_id, [])
        self.created.discard(from_id)
        self.owner |= {name: owner for name, known in self.owner.items() if known == from_id} | {from_id: owner}

    def erase(self, user_id: str) -> None:
        owner = self.owner.get(user_id, user_id)
        names = [owner, *(name for name, known in self.owner.items() if known == owner)]
        own = [*self.events.pop(owner, []), *self.undone.pop(owner, [])]
        if own or len(names) > 1 or owner in self.created:
            marks = [NOW_MS, *(event.time_ms for event in own), *(self.erased_ms.get(name, 0) for name in names)]
            self.erased_ms |= dict.fromkeys(names, max(marks))
        self.created.discard(owner)
        for name in names[1:]:
            del self.owner[name]

    def history(self, user_id: str) -> list[Interaction]:
        return sorted(self.events[self.owner.get(user_id, user_id)], key=lambda event: event.time_ms)


def apply(store: Store, log: ShopLog, events: Sequence[Interaction], steps: Iterable[Step]) -> None:
    """Apply each step to both: ("send", indices), ("undo", indices), ("merge", two ids) or ("erase", id)."""
    writer = ingestor(store, types=TYPES)
    for name, what in steps:
        if name == "merge":
            with suppress(InvalidInput):
                merge_users(store, str(what[0]), str(what[1]), DERIVATION)
            log.merge(str(what[0]), str(what[1]))
            continue
        if name == "erase":
            assert isinstance(what, str)
            try:
                erase_user(store, what, clock=ManualClock(NOW_MS), derivation=DERIVATION)
            except NotFound:
                assert not log.history(what)
            log.erase(what)
            continue
        chosen = [events[int(index)] for index in what]
        if name == "send":
            writer.ingest(chosen, RequestSource("api"))
            log.send(chosen)
        for event in chosen if name == "undo" else ():
            try:
                undo_event(store, event.event_id, DERIVATION)
            except NotFound:
                assert event.event_id not in log.known()
            log.undo(event.event_id)


def assert_equal(store: Store, log: ShopLog) -> None:
    """Everything that the store derives follows from what remains, before a rebuild and after it."""
    _assert_derived(store, log)
    rebuild(
        store,
        types=TYPES,
        shape=SHAPE,
        half_life_ms=DEFAULT_HALF_LIFE_MS,
        meta={},
        progress=lambda _num: None,
    )
    _assert_derived(store, log)


def _assert_derived(store: Store, log: ShopLog) -> None:
    remaining = [event for events in log.events.values() for event in events]
    with store.read() as read:
        for user_id in USERS:
            assert _stored_user(read, user_id) == _user_by_hand(log.history(user_id)), user_id
        assert _transitions(read) == _transitions_by_hand(log)
        assert _popularity(read) == pytest.approx(_popularity_by_hand(remaining))
        for kind in KINDS:
            codes = [code for code in TYPES.kinds if TYPES.name(code) == kind]
            total = read.event_counts.total(since_ms=0, type_codes=codes)
            assert total == sum(event.type == kind for event in remaining), kind
        codes = list(DERIVATION.window_codes)
        num_windowed = sum(map(is_windowed, remaining))
        assert read.event_counts.total(since_ms=0, type_codes=codes) == num_windowed
        assert len(read.events.columns(type_codes=codes)) == num_windowed
        assert not verify(read, DERIVATION, progress=lambda _num: None).examples


def _stored_user(read: ReadTransaction, user_id: str) -> tuple[int, list[tuple[str, int]], list[tuple[str, int]]]:
    """The number of windowed events, the window, and all events."""
    state = read.users.find(user_id)
    if state is None:
        return 0, [], []
    rows = read.events.history_page(state.key, before=(2**62, 0), limit=1000)[::-1]
    window = state.window.history
    names = {key: stored.item.item_id for key, stored in read.items.by_key([row.item_key for row in rows]).items()}
    pairs = zip(window.items.tolist(), window.times_ms.tolist(), strict=True)
    events = [(names[row.item_key], row.time_ms) for row in rows]
    return state.window.num_events, [(names[key], time_ms) for key, time_ms in pairs], events


def _user_by_hand(history: list[Interaction]) -> tuple[int, list[tuple[str, int]], list[tuple[str, int]]]:
    window = [(event.item_id, event.time_ms) for event in history if is_windowed(event)]
    num_events = len(window)
    while len(window) > SHAPE.size:
        window = window[SHAPE.step :]
    return num_events, window, [(event.item_id, event.time_ms) for event in history]


def _transitions(read: ReadTransaction) -> Counter[tuple[object, ...]]:
    rows = read.transitions.since({}).rows
    names = {key: stored.item.item_id for key, stored in read.items.by_key(np.unique(rows[:, [0, 3, 4, 5]])).items()}
    totals: Counter[tuple[object, ...]] = Counter()
    for item, week, sign, *previous in rows.tolist():
        totals[names[item], week, *(names.get(key) for key in previous)] += sign
    return +totals


def _transitions_by_hand(log: ShopLog) -> Counter[tuple[object, ...]]:
    totals: Counter[tuple[object, ...]] = Counter()
    for user_id in list(log.events):
        items = [(event.item_id, event.time_ms) for event in log.history(user_id) if is_windowed(event)]
        for index, (item_id, time_ms) in enumerate(items):
            previous = [items[index - step][0] if index >= step else None for step in (1, 2, 3)]
            totals[item_id, time_ms // (7 * DAY_MS), *previous] += 1
    return totals


def _popularity(read: ReadTransaction) -> dict[str, float]:
    keys, scores = read.popularity.scores()
    names = read.items.by_key(keys.tolist())
    pairs = zip(keys.tolist(), scores.tolist(), strict=True)
    return {names[key].item.item_id: score for key, score in pairs if score > -math.inf}


def _popularity_by_hand(events: list[Interaction]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for event in events:
        if weight := weight_of(event):
            sums[event.item_id] += weight * 2 ** ((event.time_ms - NOW_MS) / DEFAULT_HALF_LIFE_MS)
    return {item_id: math.log2(total) + NOW_MS / DEFAULT_HALF_LIFE_MS for item_id, total in sums.items()}
