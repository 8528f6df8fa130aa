"""The blend: one score for each item from the encoder, live transition counts and popularity.

A conditional logit (McFadden 1974), linear in the logarithms of what each part knows:

    score(i) = encoder * e(i) + forward * log(1 + F(i) / SHARE_FLOOR) + backward * log(1 + B(i) / SHARE_FLOOR)
             + recent * log(POPULARITY_FLOOR + p7(i)) + lasting * log(POPULARITY_FLOOR + p90(i))
             + events * log(1 + n(i))

e(i): the encoder's score. F(i), B(i): shares of i among what followed and what preceded the user's last items
(`NeighbourShares`). p7(i), p90(i): shares of i in all events, decayed with half-lives of 7 and 90 days; n(i): its
number of events. Only e, F and B depend on the user: F and B are 0 for all but the neighbours of the last items, and
the other terms are one number for each item. Independent of stores and models. Shapes: N items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from core.arrays import DoubleArray, FloatArray

SHARE_FLOOR = 1e-3
POPULARITY_FLOOR = 1e-5


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """What is known of the items of a catalogue without a user. `recent`, `lasting`: (N,) shares with a sum of 1.

    `recent` halves in 7 days, `lasting` in 90; `events`: (N,) numbers of events.
    """

    recent: DoubleArray
    lasting: DoubleArray
    events: DoubleArray

    def logs(self) -> FloatArray:
        """(N, 3) the features of the last three weights."""
        recent, lasting = (np.log(shares + POPULARITY_FLOOR) for shares in (self.recent, self.lasting))
        return np.stack([recent, lasting, np.log1p(self.events)], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Blend:
    """The weights of the parts. Those of the encoder and the transitions are never negative.

    `encoder` is 0 where the encoder adds nothing, or where there is none.
    """

    encoder: float
    forward: float
    backward: float
    recent: float
    lasting: float
    events: float

    def to_json(self) -> dict[str, float]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Blend:
        """The record back from `to_json`; raises `ValueError` for other fields."""
        names = {entry.name for entry in fields(cls)}
        if set(raw) != names:
            msg = f"blend: wanted the weights {', '.join(sorted(names))}, got {', '.join(sorted(raw))}"
            raise ValueError(msg)
        return cls(**{name: float(weight) for name, weight in raw.items()})

    def item_part(self, counts: ItemCounts) -> FloatArray:
        """(N,) the terms of `recent`, `lasting` and `events`."""
        part: FloatArray = counts.logs() @ np.array([self.recent, self.lasting, self.events], np.float32)
        return part

    def forward_part(self, shares: FloatArray) -> FloatArray:
        """(N,) the term of `forward` of shares F."""
        return np.float32(self.forward) * share_logs(shares)

    def backward_part(self, shares: FloatArray) -> FloatArray:
        """(N,) the term of `backward` of shares B."""
        return np.float32(self.backward) * share_logs(shares)


DEFAULT_BLEND = Blend(encoder=0.5, forward=0.5, backward=0.3, recent=0.4, lasting=0.0, events=-0.2)
COUNTS_BLEND = Blend(encoder=0.0, forward=0.6, backward=0.4, recent=0.5, lasting=0.0, events=0.0)


def shares_of(values: DoubleArray) -> DoubleArray:
    """(N,) values of 0 or more over their sum; 0 where all are 0."""
    shares: DoubleArray = values / max(float(values.sum()), np.finfo(np.float64).tiny)
    return shares


def share_logs(shares: FloatArray) -> FloatArray:
    """(N,) log(1 + share / SHARE_FLOOR): 0 for an item that is no neighbour."""
    logs: FloatArray = np.log1p(np.asarray(shares, np.float32) / np.float32(SHARE_FLOOR))
    return logs
