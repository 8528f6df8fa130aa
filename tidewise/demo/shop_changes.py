"""Changes of a simulated shop: of known time, size and kind, so that their detection can be measured.

A shop with a change and one without are equal, to the last view, before it. Independent of detectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.clock import DAY_MS, HOUR_MS
from tidewise.demo.shop_items import Assortment

Kind = Literal["rhythm", "sudden", "gradual", "segment", "interests", "season"]
GRADUAL_MS = 3 * DAY_MS
TURNED = {"rhythm": 0.3, "interests": 0.2, "season": 0.5}  # the share of visits that turn to the category
ODD = {"sudden": 0.5, "gradual": 0.5, "segment": 0.75}  # the share of views of just any item of their category
COLLECTION = 12  # items of a season: the least popular ones until then
IN_COLLECTION = 0.7  # the share of the views in a season's category that are of its items
EVENING = range(17, 23)

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """One change, from `time_ms` on.

    sudden: half of all views are of just any item of their category; gradual: so many after three days; segment: three
    quarters, but only in `category`. interests: a fifth of all visits turn to `category`; season: half of them, and
    there mostly to a few items that hardly any user had viewed. rhythm: in evenings and at weekends visits turn to
    `category`, which is no change once it is known.
    """

    kind: Kind
    time_ms: int
    category: str

    def turn(
        self, rng: np.random.Generator, assortment: Assortment, interests: IntArray, starts_ms: IntArray
    ) -> IntArray:
        """(S, 2) interests of visits, some of them turned."""
        turned = rng.random(len(starts_ms)) < TURNED.get(self.kind, 0.0) * self._grown(starts_ms)
        return np.where(turned[:, None], assortment.categories.index(self.category), interests)

    def swap(self, rng: np.random.Generator, assortment: Assortment, items: IntArray, times_ms: IntArray) -> IntArray:
        """Items about to be looked at, some of them swapped for others of their category."""
        own = assortment.category_of(items)
        here = own == assortment.categories.index(self.category)
        lucky, grown = rng.random(len(items)), self._grown(times_ms)
        if self.kind == "season":
            few = assortment.least_popular(assortment.categories.index(self.category), COLLECTION)
            return np.where(here & (lucky < IN_COLLECTION * grown), rng.choice(few, len(items)), items)
        odd = (lucky < ODD.get(self.kind, 0.0) * grown) & (here | (self.kind != "segment"))
        return np.where(odd, assortment.draw_evenly(rng, own), items)

    def _grown(self, times_ms: IntArray) -> FloatArray:
        """How much of the change is there, 0 to 1."""
        if self.kind == "rhythm":
            hours, weekend = times_ms // HOUR_MS % 24, (times_ms // DAY_MS + 3) % 7 >= 5
            return (np.isin(hours, EVENING) | weekend).astype(np.float64)
        over_ms = GRADUAL_MS if self.kind == "gradual" else 1
        return np.clip((times_ms - self.time_ms) / over_ms, 0.0, 1.0)
