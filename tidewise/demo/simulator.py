"""A simulated shop: items, users whose interests drift at known times, and their events, all from one seed.

Independent of files, servers and models. How a user behaves:

- A session starts in a category drawn from the user's interests: one main, one second, a little of everything.
- Within a session things follow one another: mostly to what goes with the last item (next kind, same brand), else to
  a comparable one, else to something popular near by. That is what a sequence model can learn.
- Seconds lie between the events of a session, days between sessions; evenings and weekends are busier.
- A drift replaces a user's main category at the start of one session; the shop says which, when, from what to what.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.catalogue.items import Item
from core.clock import DAY_MS, HOUR_MS
from core.events.interactions import Interaction
from tidewise.demo.shop_changes import Change
from tidewise.demo.shop_items import Assortment, make_assortment

DEFAULT_END_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z

NUM_USERS = 1_500
SESSIONS_PER_DAY = 0.13  # of the average user; with sessions of 5 views, 1,500 users make about 1,000 events a day
MIN_SESSIONS = 3
MAX_SESSION_VIEWS = 14
GO_ON = 0.8  # the chance that a session goes on after a view
MAIN_INTEREST, SECOND_INTEREST = 0.65, 0.22
DRIFTING = 0.35  # the share of users whose main interest changes once, given enough sessions
MIN_SESSIONS_AROUND_DRIFT = 3
FOLLOW, COMPARE, NEAR = 0.55, 0.77, 0.92  # cumulative: goes with the last item, compares, same category; else leaves
LOOK_AGAIN = 0.15  # the chance that a view of an item seen before is kept
CART, BUY = 0.14, 0.45  # of views; of carts
MEDIAN_GAP_S = 35.0
HOUR_WEIGHTS = (1, 1, 1, 1, 1, 2, 4, 6, 7, 6, 6, 7, 9, 8, 6, 6, 7, 9, 12, 15, 17, 15, 9, 4)
WEEKDAY_WEIGHTS = (1.0, 0.9, 0.9, 1.0, 1.1, 1.6, 1.7)  # Monday first

IntArray = NDArray[np.int64]
Swap = Callable[[IntArray, IntArray], IntArray]  # items about to be looked at, when; what is looked at instead


@dataclass(frozen=True, slots=True)
class Drift:
    """One known change of interest: from `time_ms` on the user's main category is another."""

    user_id: str
    time_ms: int
    from_category: str
    to_category: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A whole shop. `history` and `live` are sorted by time, and every live event comes after all of the history.

    `drifts`: of single users; `change`: of all users together, from some moment on.
    """

    items: tuple[Item, ...]
    history: tuple[Interaction, ...]
    live: tuple[Interaction, ...]
    drifts: tuple[Drift, ...]
    change: Change | None = None

    def split_live(self) -> tuple[tuple[Interaction, ...], tuple[Interaction, ...]]:
        """The live events before and after the change; without a change, all and none."""
        if self.change is None:
            return self.live, ()
        num_before = sum(event.time_ms < self.change.time_ms for event in self.live)
        return self.live[:num_before], self.live[num_before:]

    def typical_user(self) -> str:
        """A user of the live part with a history of middling length."""
        counts = Counter(event.user_id for event in self.history)
        live = sorted({event.user_id for event in self.live}, key=lambda user_id: (counts[user_id], user_id))
        return live[len(live) // 2]


@dataclass(frozen=True, slots=True)
class _Sessions:
    """S sessions sorted by (user, start). `interests`: (S, 2) main and second category in force."""

    users: IntArray
    starts_ms: IntArray
    interests: IntArray


@dataclass(frozen=True, slots=True)
class _Views:
    """Views in columns. `gaps_ms`: how long the user stayed before the next view."""

    users: IntArray
    items: IntArray
    times_ms: IntArray
    gaps_ms: IntArray

    def at(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> _Views:
        return _Views(self.users[chosen], self.items[chosen], self.times_ms[chosen], self.gaps_ms[chosen])


def simulate_shop(
    *,
    seed: int = 7,
    num_users: int = NUM_USERS,
    num_items: int = 1800,
    days: int = 60,
    live_days: int = 2,
    end_ms: int = DEFAULT_END_MS,
    change: Change | None = None,
) -> Shop:
    """A shop whose events end at `end_ms`: `days` of them, of which the last `live_days` are the live part.

    Items and users with their first interests depend on `seed` alone, what happens also on `end_ms`: the same shop
    visited later has new traffic, with event ids of its own. `change`: of all users together.
    """
    assert 0 < live_days < days
    made = np.random.default_rng(seed)
    assortment = make_assortment(made, num_items)
    interests = _interests(made, assortment, num_users)
    user_ids = [f"user-{number:04d}" for number in range(1, num_users + 1)]
    rng = np.random.default_rng((seed, end_ms))
    sessions, drifts = _drifting(rng, _sessions(rng, interests, days, end_ms), assortment, user_ids)
    sessions, swap = _changed(np.random.default_rng((seed, end_ms, 1)), assortment, sessions, change)
    views = _without_repeats(rng, _views(rng, assortment, sessions, swap))
    facts = (seed, num_users, num_items, days, end_ms, *((change,) if change else ()))
    run = hashlib.blake2b(repr(facts).encode(), digest_size=4).hexdigest()
    events = [event for event in _events(rng, views, assortment, user_ids, run) if event.time_ms <= end_ms]
    live_from_ms = end_ms - live_days * DAY_MS
    num_history = sum(event.time_ms < live_from_ms for event in events)
    return Shop(assortment.items, tuple(events[:num_history]), tuple(events[num_history:]), drifts, change)


def _interests(rng: np.random.Generator, assortment: Assortment, num_users: int) -> IntArray:
    """(U, 2) each user's main and second category before any drift."""
    num_categories = len(assortment.categories)
    main = rng.choice(num_categories, num_users, p=assortment.category_shares)
    second = (main + rng.integers(1, num_categories, num_users)) % num_categories
    return np.stack([main, second], axis=1).astype(np.int64)


def _sessions(rng: np.random.Generator, interests: IntArray, days: int, end_ms: int) -> _Sessions:
    """When each user comes; some come much more often than others."""
    activity = rng.gamma(2.0, SESSIONS_PER_DAY / 2.0, len(interests)) * days
    users = np.repeat(np.arange(len(interests)), np.maximum(rng.poisson(activity), MIN_SESSIONS))
    starts_ms = _session_starts(rng, len(users), days, end_ms)
    return _Sessions(users, starts_ms[np.lexsort((starts_ms, users))], interests[users])


def _session_starts(rng: np.random.Generator, size: int, days: int, end_ms: int) -> IntArray:
    """Starts in the last `days` before `end_ms`, with the rhythm of the hours of a day (UTC) and of a week."""
    hours = np.arange(end_ms // HOUR_MS - days * 24, end_ms // HOUR_MS)
    weekday = (hours // 24 + 3) % 7  # 1970-01-01 was a Thursday
    weights = np.asarray(HOUR_WEIGHTS, float)[hours % 24] * np.asarray(WEEKDAY_WEIGHTS)[weekday]
    drawn = rng.choice(hours, size, p=weights / weights.sum())
    return np.asarray(drawn * HOUR_MS + rng.integers(0, HOUR_MS, size), np.int64)


def _drifting(
    rng: np.random.Generator, sessions: _Sessions, assortment: Assortment, user_ids: list[str]
) -> tuple[_Sessions, tuple[Drift, ...]]:
    """The sessions with some users' main interest changed from one of their sessions on, and the truth about it."""
    num_categories = len(assortment.categories)
    interests = sessions.interests.copy()
    drifts = []
    firsts = np.searchsorted(sessions.users, np.arange(len(user_ids) + 1))
    for user, (first, end) in enumerate(pairwise(firsts.tolist())):
        drifts_here = rng.random() < DRIFTING
        if not drifts_here or end - first < 2 * MIN_SESSIONS_AROUND_DRIFT:
            continue
        at = int(rng.integers(first + MIN_SESSIONS_AROUND_DRIFT, end - MIN_SESSIONS_AROUND_DRIFT + 1))
        old, second = (int(category) for category in interests[first])
        choices = [category for category in range(num_categories) if category not in (old, second)]
        new = int(rng.choice(choices))
        interests[at:end, 0] = new
        names = assortment.categories
        drifts.append(Drift(user_ids[user], int(sessions.starts_ms[at]), names[old], names[new]))
    drifts.sort(key=lambda drift: (drift.time_ms, drift.user_id))
    return _Sessions(sessions.users, sessions.starts_ms, interests), tuple(drifts)


def _changed(
    rng: np.random.Generator, assortment: Assortment, sessions: _Sessions, change: Change | None
) -> tuple[_Sessions, Swap]:
    """The sessions as a change leaves them, and what it makes of items about to be looked at."""
    if change is None:
        return sessions, lambda items, _times_ms: items
    interests = change.turn(rng, assortment, sessions.interests, sessions.starts_ms)
    turned = _Sessions(sessions.users, sessions.starts_ms, interests)
    return turned, lambda items, times_ms: change.swap(rng, assortment, items, times_ms)


def _views(rng: np.random.Generator, assortment: Assortment, sessions: _Sessions, swap: Swap) -> _Views:
    """All sessions walked at once, one step at a time; a session leaves when its user stops."""
    alive = np.arange(len(sessions.users))
    times_ms = sessions.starts_ms.copy()
    items = swap(assortment.draw_main(rng, _wanted(rng, assortment, sessions.interests)), times_ms)
    steps = []
    for _ in range(MAX_SESSION_VIEWS):
        gaps_ms = (rng.lognormal(np.log(MEDIAN_GAP_S), 0.9, len(alive)) * 1000).astype(np.int64) + 1000
        steps.append(_Views(sessions.users[alive], items, times_ms, gaps_ms))
        stays = rng.random(len(alive)) < GO_ON
        alive, items, times_ms = alive[stays], items[stays], (times_ms + gaps_ms)[stays]
        items = swap(_next(rng, assortment, items, sessions.interests[alive]), times_ms)
    return _joined(steps)


def _joined(steps: list[_Views]) -> _Views:
    """Views of all steps, sorted by (user, time)."""
    views = _Views(
        np.concatenate([step.users for step in steps]),
        np.concatenate([step.items for step in steps]),
        np.concatenate([step.times_ms for step in steps]),
        np.concatenate([step.gaps_ms for step in steps]),
    )
    return views.at(np.lexsort((views.times_ms, views.users)))


def _wanted(rng: np.random.Generator, assortment: Assortment, interests: IntArray) -> IntArray:
    """A category for each row of (S, 2) interests."""
    anything = rng.choice(len(assortment.categories), len(interests), p=assortment.category_shares)
    luck = rng.random(len(interests))
    chosen = np.where(luck < MAIN_INTEREST + SECOND_INTEREST, interests[:, 1], anything)
    return np.where(luck < MAIN_INTEREST, interests[:, 0], chosen)


def _next(rng: np.random.Generator, assortment: Assortment, items: IntArray, interests: IntArray) -> IntArray:
    """What is looked at after each of `items`."""
    luck = rng.random(len(items))
    category = assortment.category_of(items)
    leaves = assortment.draw_main(rng, _wanted(rng, assortment, interests))
    near = np.where(luck < NEAR, assortment.draw_category(rng, category), leaves)
    compare = np.where(luck < COMPARE, assortment.draw_comparable(rng, items), near)
    return np.where(luck < FOLLOW, assortment.draw_following(rng, items), compare)


def _without_repeats(rng: np.random.Generator, views: _Views) -> _Views:
    """Views (sorted by user and time) without most of those of items that the user had looked at before."""
    order = np.lexsort((views.times_ms, views.items, views.users))
    same = (np.diff(views.users[order]) == 0) & (np.diff(views.items[order]) == 0)
    again = np.zeros(len(order), bool)
    again[order[1:]] = same
    return views.at(~again | (rng.random(len(order)) < LOOK_AGAIN))


def _events(
    rng: np.random.Generator, views: _Views, assortment: Assortment, user_ids: list[str], run: str
) -> list[Interaction]:
    """Views, and the carts and purchases that some lead to before the next view, sorted by time."""
    carts = np.flatnonzero(rng.random(len(views.users)) < CART)
    bought = carts[rng.random(len(carts)) < BUY]
    rows = np.concatenate([np.arange(len(views.users)), carts, bought])
    kinds = np.repeat(["view", "cart", "purchase"], [len(views.users), len(carts), len(bought)])
    delay = np.repeat([0.0, 0.3, 0.6], [len(views.users), len(carts), len(bought)])
    times_ms = views.times_ms[rows] + (views.gaps_ms[rows] * delay).astype(np.int64)
    order = np.lexsort((views.users[rows], times_ms))
    ids = [item.item_id for item in assortment.items]
    return [
        Interaction(f"sim-{run}-{number:06d}", user_ids[user], ids[item], kind, time_ms)
        for number, (user, item, kind, time_ms) in enumerate(
            zip(
                views.users[rows][order].tolist(),
                views.items[rows][order].tolist(),
                kinds[order].tolist(),
                times_ms[order].tolist(),
                strict=True,
            )
        )
    ]
