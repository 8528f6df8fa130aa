"""The slate: fills the positions of an answer one by one, with pins, drawn items, and the best of what is left.

Independent of users, models and stores. Shapes: N items of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import SystemRandom
from typing import Literal, NamedTuple

from core.arrays import BoolArray
from core.scenarios.candidates import Candidates
from core.scenarios.caps import Caps
from core.scenarios.pools import Chances, Pools, RandomSource
from core.scenarios.propensities import propensities

Origin = Literal["ranking", "pin", "exploration"]
DEFAULT_RANDOM = SystemRandom()  # the same draws in no two processes, forked or not


class Slot(NamedTuple):
    """One position: the catalogue row, how it came there, and its propensity; see `core.scenarios.propensities`."""

    row: int
    origin: Origin = "ranking"
    propensity: float = 1.0


class Slate:
    """Fills the positions of one answer."""

    def __init__(
        self,
        candidates: Candidates,
        caps: Caps,
        placed: BoolArray,
        *,
        pools: Pools | None = None,
        random: RandomSource = DEFAULT_RANDOM,
        is_listed: Callable[[int], bool] = lambda _row: True,
    ) -> None:
        """`placed`: (N,) the rows that were shown before or are pins. `pools`: None without exploration.

        `is_listed`: whether a drawn item can be shown now.
        """
        self._candidates = candidates
        self._caps = caps
        self._pools = pools
        self._random = random
        self._is_listed = is_listed
        self._num_new = 0  # of the items placed
        self._drawn: list[tuple[int, Chances]] = []  # of each position that was drawn, its row and what it shows
        self.blocked = placed.copy()  # the rows that are in the answer or can't follow

    def fill(self, n: int, pins: Mapping[int, int]) -> list[Slot]:
        """The first n positions, or fewer if nothing else may follow. `pins`: catalogue rows by position.

        Pins count for caps and similarity before all else; those behind the end of a short list follow it.
        """
        slots = self._slots(n, pins)
        if self._pools is None or not self._drawn:
            return slots
        rows, chances = zip(*self._drawn, strict=True)
        by_row = dict(zip(rows, propensities(rows, chances, self._pools).tolist(), strict=True))
        return [slot._replace(propensity=by_row.get(slot.row, 1.0)) for slot in slots]

    def _slots(self, n: int, pins: Mapping[int, int]) -> list[Slot]:
        pins = {position: row for position, row in sorted(pins.items()) if position <= n}
        for row in pins.values():
            self._place(row)
        slots: list[Slot] = []
        for position in range(1, n + 1):
            num_free = n - position + 1 - sum(pin >= position for pin in pins)
            slot = Slot(pins[position], "pin") if position in pins else self._next(num_free)
            if slot is None:
                return slots + [Slot(row, "pin") for later, row in pins.items() if later > position]
            slots.append(slot)
        return slots

    def _next(self, num_free: int) -> Slot | None:
        """The item of the next of so many free positions; None if nothing may follow."""
        best = self._candidates.best(self.blocked)
        if self._pools is None:
            return None if best is None else self._placed(Slot(best))
        pools = self._pools.open(self.blocked, num_new=self._num_new, num_free=num_free)
        drawn = pools.draw(self._random)
        if drawn is not None and not self._is_listed(drawn):
            self.blocked[drawn] = True
            return self._next(num_free)
        row = best if drawn is None else drawn
        if row is None:
            return None
        origin: Origin = "ranking" if row == best else "exploration"
        self._drawn.append((row, pools.chances(best)))
        return self._placed(Slot(row, origin))

    def _placed(self, slot: Slot) -> Slot:
        self._place(slot.row)
        return slot

    def _place(self, row: int) -> None:
        self.blocked[row] = True
        self._num_new += self._pools is not None and self._pools.is_new(row)
        self._candidates.place(row)
        for full in self._caps.place(row):
            self.blocked[full] = True
