"""Policies that fill the slots of simulated answers, and what each of them truly earns.

Clicks follow the position-based model: examination of the position times attraction of the item for a group of users.
A policy draws each slot's item by itself, from its distribution for the user's group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import DoubleArray, IntArray
from core.experiments.off_policy import LoggedSlots

NUM_GROUPS, NUM_ITEMS, NUM_POSITIONS = 8, 20, 5


@dataclass(frozen=True)
class Market:
    """(G, I) `attraction` of items for groups, (K,) `examination` of positions."""

    attraction: DoubleArray
    examination: DoubleArray

    def value(self, policy: DoubleArray) -> float:
        """Clicks per answer under a (G, K, I) policy; groups are equally large."""
        return float(np.einsum("gki,gi,k->", policy, self.attraction, self.examination)) / len(self.attraction)


def market(random: np.random.Generator) -> Market:
    """A random market."""
    return Market(random.beta(1, 5, (NUM_GROUPS, NUM_ITEMS)), 1 / np.arange(1, NUM_POSITIONS + 1) ** 0.5)


def softmax_policy(random: np.random.Generator, sharpness: float) -> DoubleArray:
    """(G, K, I) a random policy; the sharper, the more slots always hold the same item."""
    scores = sharpness * random.normal(size=(NUM_GROUPS, NUM_POSITIONS, NUM_ITEMS))
    chances = np.exp(scores - scores.max(axis=2, keepdims=True))
    return np.asarray(chances / chances.sum(axis=2, keepdims=True))


def exploring(policy: DoubleArray, share: float) -> DoubleArray:
    """The policy's first choice in each slot, but a random item in a share of slots."""
    first = np.arange(NUM_ITEMS) == policy.argmax(axis=2)[:, :, None]
    explored: DoubleArray = (1 - share) * first + share / NUM_ITEMS
    return explored


def log_of(
    market: Market, logging: DoubleArray, target: DoubleArray, *, num_answers: int, num_users: int, seed: int
) -> tuple[LoggedSlots, DoubleArray, DoubleArray]:
    """Logged slots of a policy, and a wrong model's rewards of the slot's item and of the target's mean item."""
    random = np.random.default_rng(seed)
    users = np.repeat(random.integers(num_users, size=num_answers), NUM_POSITIONS)
    groups, places = users % NUM_GROUPS, np.tile(np.arange(NUM_POSITIONS), num_answers)
    cumulative = logging.cumsum(axis=2)[groups, places]
    items: IntArray = (random.random(len(users))[:, None] * cumulative[:, -1:] > cumulative).sum(axis=1)
    clicks = random.random(len(users)) < market.attraction[groups, items] * market.examination[places]
    believed = 0.7 * market.attraction * np.exp(0.3 * random.normal(size=market.attraction.shape))
    slots = LoggedSlots(
        answers=np.repeat(np.arange(num_answers), NUM_POSITIONS),
        users=users,
        positions=places + 1,
        rewards=clicks.astype(float),
        propensities=logging[groups, places, items],
        chances=target[groups, places, items],
    )
    means = np.einsum("gki,gi->gk", target, believed) * market.examination
    return slots, believed[groups, items] * market.examination[places], means[groups, places]
