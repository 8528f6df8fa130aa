"""The blend: one score for each item from the encoder, live transition counts and popularity.

A conditional logit (McFadden 1974), linear in the logarithms of what each part knows:

    score(i) = encoder * e(i) + forward * log(1 + F(i) / SHARE_FLOOR) + backward * log(1 + B(i) / SHARE_FLOOR)
             + recent * log(POPULARITY_FLOOR + p7(i)) + lasting * log(POPULARITY_FLOOR + p90(i))
             + events * log(1 + n(i))
             + untrained(i)

e(i): the encoder's score. F(i), B(i): shares of i among what followed and what preceded the user's last items
(`NeighbourShares`). p7(i), p90(i): shares of i in all events, decayed with half-lives of 7 and 90 days; n(i): its
number of events. untrained(i): for an item that the encoder has not been trained on, a sum of the same terms with
weights of its own (`UntrainedItems`) where that is above 0, else 0. Only e, F and B depend on the user: F and B are 0
for all but the neighbours of the last items, and the other terms are one number for each item, but for untrained
neighbours. Independent of stores and models. Shapes: N items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray
from core.blending.untrained import UntrainedItems

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

    `encoder` is 0 where the encoder adds nothing, or where there is none. `untrained`: what is added for items that it
    has not been trained on; None: nothing.
    """

    encoder: float
    forward: float
    backward: float
    recent: float
    lasting: float
    events: float
    untrained: UntrainedItems | None = None

    @property
    def weights(self) -> DoubleArray:
        """(6,) those of all items, in the order of the fields."""
        return np.array([self.encoder, self.forward, self.backward, self.recent, self.lasting, self.events])

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; without `untrained` where it adds nothing, as versions before it had none."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Blend:
        """The record back from `to_json`; raises `ValueError` for other fields."""
        untrained = raw.get("untrained")
        weights = _numbers(cls, {name: value for name, value in raw.items() if name != "untrained"})
        added = None if untrained is None else UntrainedItems(**_numbers(UntrainedItems, untrained))
        return cls(**weights, untrained=added)

    def gains(self, logs: FloatArray, trained: BoolArray) -> FloatArray:
        """(N,) what is added for untrained items by what is the same for all users; -inf for trained ones.

        `logs`: (N, 3) features (`ItemCounts.logs`). Less than 0 adds nothing.
        """
        gains = np.full(len(logs), -np.inf, np.float32)
        if self.untrained is not None:
            gains[~trained] = self.untrained.item_part(logs[~trained])
        return gains

    def item_part(self, logs: FloatArray, gains: FloatArray) -> FloatArray:
        """(N,) the terms that are the same for all users, of (N, 3) features and `gains`."""
        part: FloatArray = logs @ np.array([self.recent, self.lasting, self.events], np.float32)
        part += np.maximum(gains, np.float32(0))
        return part

    def neighbour_part(self, forward: FloatArray, backward: FloatArray, gains: FloatArray) -> FloatArray:
        """(N,) what the logarithms of shares F and B (`share_logs`) add to the `item_part` of the same `gains`."""
        part: FloatArray = np.float32(self.forward) * forward + np.float32(self.backward) * backward
        if self.untrained is None:
            return part
        more = self.untrained.neighbour_part(forward, backward) + gains
        part += np.maximum(more, np.float32(0)) - np.maximum(gains, np.float32(0))
        return part


def _numbers(kind: type, raw: Mapping[str, Any]) -> dict[str, float]:
    """The weights of a record, by name; raises `ValueError` for others."""
    names = {entry.name for entry in fields(kind)} - {"untrained"}
    if set(raw) != names:
        msg = f"blend: wanted the weights {', '.join(sorted(names))}, got {', '.join(sorted(raw))}"
        raise ValueError(msg)
    return {name: float(weight) for name, weight in raw.items()}


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
