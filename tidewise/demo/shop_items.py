"""The assortment of the simulated shop: its items, and which of them go with which.

Items are sorted by (category, kind, brand), so that each group is a range of rows and drawing one of its items by
popularity is one search in the running sum of weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.catalogue.items import Item
from core.errors import InvalidInput
from tidewise.demo.shop_words import BRANDS, BRANDS_PER_CATEGORY, COLOURS, KINDS, NUM_MAIN_KINDS, USES

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

NUM_KINDS = len(next(iter(KINDS.values())))
PER_CATEGORY = NUM_KINDS * BRANDS_PER_CATEGORY * len(COLOURS)  # how many different titles a category has
MAX_ITEMS = len(KINDS) * PER_CATEGORY
POPULARITY_EXPONENT = 0.8  # weight = rank^-0.8: the best tenth of a category draws about half of its views
NEXT_KIND = 0.75  # the chance that the very next kind follows, else the one after it


@dataclass(frozen=True)
class Assortment:
    """All items. `groups`: (N,) number of each item's (category, kind, brand); `running`: (N+1,) summed weights."""

    categories: tuple[str, ...]
    category_shares: FloatArray
    items: tuple[Item, ...]
    groups: IntArray
    running: FloatArray

    def category_of(self, items: IntArray) -> IntArray:
        """The categories of items."""
        return self.groups[items] // (NUM_KINDS * BRANDS_PER_CATEGORY)

    def draw_category(self, rng: np.random.Generator, categories: IntArray) -> IntArray:
        """One item of each of `categories`."""
        size = NUM_KINDS * BRANDS_PER_CATEGORY
        return self._draw(rng, categories * size, (categories + 1) * size)

    def draw_evenly(self, rng: np.random.Generator, categories: IntArray) -> IntArray:
        """One item of each of `categories`, whatever its popularity."""
        size = NUM_KINDS * BRANDS_PER_CATEGORY
        first, end = (np.searchsorted(self.groups, (categories + more) * size, "left") for more in (0, 1))
        return first + (rng.random(len(categories)) * (end - first)).astype(np.int64)

    def least_popular(self, category: int, num: int) -> IntArray:
        """The items of a category that are looked at least."""
        inside = np.flatnonzero(self.category_of(np.arange(len(self.items))) == category)
        return np.sort(inside[np.argsort(np.diff(self.running)[inside], kind="stable")[:num]])

    def draw_main(self, rng: np.random.Generator, categories: IntArray) -> IntArray:
        """One item of each of `categories`, of the kinds that one begins with."""
        first = categories * NUM_KINDS * BRANDS_PER_CATEGORY
        return self._draw(rng, first, first + NUM_MAIN_KINDS * BRANDS_PER_CATEGORY)

    def draw_comparable(self, rng: np.random.Generator, items: IntArray) -> IntArray:
        """For each item one of the same kind, of any brand."""
        first = self.groups[items] // BRANDS_PER_CATEGORY * BRANDS_PER_CATEGORY
        return self._draw(rng, first, first + BRANDS_PER_CATEGORY)

    def draw_following(self, rng: np.random.Generator, items: IntArray) -> IntArray:
        """For each item one that goes with it: a kind further or two, of the same brand where that has any."""
        category, brand = self.category_of(items), self.groups[items] % BRANDS_PER_CATEGORY
        kind = self.groups[items] // BRANDS_PER_CATEGORY % NUM_KINDS
        kind = (kind + np.where(rng.random(len(items)) < NEXT_KIND, 1, 2)) % NUM_KINDS
        any_brand = (category * NUM_KINDS + kind) * BRANDS_PER_CATEGORY
        same = any_brand + brand
        has_any = np.searchsorted(self.groups, same, "left") < np.searchsorted(self.groups, same, "right")
        return self._draw(
            rng, np.where(has_any, same, any_brand), np.where(has_any, same + 1, any_brand + BRANDS_PER_CATEGORY)
        )

    def _draw(self, rng: np.random.Generator, first_groups: IntArray, end_groups: IntArray) -> IntArray:
        """One item from each range of groups, by popularity."""
        first = np.searchsorted(self.groups, first_groups, "left")
        end = np.searchsorted(self.groups, end_groups, "left")
        low, high = self.running[first], self.running[end]
        drawn = np.searchsorted(self.running, low + rng.random(len(first)) * (high - low), "right") - 1
        return np.clip(drawn, first, end - 1)


def make_assortment(rng: np.random.Generator, num_items: int) -> Assortment:
    """`num_items` items spread evenly over the categories, with skewed popularity."""
    if not len(KINDS) * NUM_KINDS * NUM_MAIN_KINDS <= num_items <= MAX_ITEMS:
        msg = f"num_items: wanted {len(KINDS) * NUM_KINDS * NUM_MAIN_KINDS} to {MAX_ITEMS}, got {num_items}"
        raise InvalidInput(msg)
    categories = tuple(KINDS)
    sizes = [len(part) for part in np.array_split(np.arange(num_items), len(categories))]
    designs = [_designs(rng, size) for size in sizes]
    items = [item for category, chosen in enumerate(designs) for item in _items(rng, category, chosen)]
    groups = np.concatenate(
        [category * NUM_KINDS * BRANDS_PER_CATEGORY + chosen // len(COLOURS) for category, chosen in enumerate(designs)]
    )
    weights = np.concatenate([rng.permutation(np.arange(1, size + 1) ** -POPULARITY_EXPONENT) for size in sizes])
    shares = rng.permutation(np.arange(1, len(categories) + 1) ** -0.5)
    running = np.concatenate([[0.0], np.cumsum(weights)])
    return Assortment(categories, shares / shares.sum(), tuple(items), groups.astype(np.int64), running)


def _designs(rng: np.random.Generator, size: int) -> IntArray:
    """`size` different (kind, brand, colour) as sorted numbers; every kind has some."""
    by_kind = np.array_split(np.arange(size), NUM_KINDS)
    per_kind = BRANDS_PER_CATEGORY * len(COLOURS)
    chosen = [kind * per_kind + rng.permutation(per_kind)[: len(part)] for kind, part in enumerate(by_kind)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _items(rng: np.random.Generator, category: int, designs: IntArray) -> list[Item]:
    name, kinds = list(KINDS.items())[category]
    made = []
    for number, design in enumerate(designs.tolist(), start=1):
        place, colour = divmod(design, len(COLOURS))
        kind, brand_place = divmod(place, BRANDS_PER_CATEGORY)
        brand = BRANDS[(category * 5 + brand_place) % len(BRANDS)]
        goes_with = f"{kinds[(kind + 1) % NUM_KINDS]} and {kinds[(kind + 2) % NUM_KINDS]}"
        use = USES[int(rng.integers(len(USES)))]
        made.append(
            Item(
                f"{name.lower()}-{number:03d}",
                f"{brand} {kinds[kind]} in {COLOURS[colour]}",
                f"{kinds[kind].capitalize()} by {brand}, {use}. {name}. Goes with {goes_with}.",
                (name,),
                {"brand": brand, "price": _price(rng, kind)},
            )
        )
    return made


def _price(rng: np.random.Generator, kind: int) -> float:
    """What one begins with costs about 150, the rest about 20."""
    typical = 150.0 if kind < NUM_MAIN_KINDS else 20.0
    return round(typical * float(rng.lognormal(0.0, 0.5)), 2)
