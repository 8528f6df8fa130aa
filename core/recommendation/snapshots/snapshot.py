"""The serving snapshot: the immutable state that a request pins from start to end.

It holds one catalogue revision, one model version bound to it and the index of that version's item vectors, so no
answer mixes versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from core.arrays import DoubleArray
from core.blending.blend import COUNTS_BLEND, Blend
from core.blending.untrained import TrainedRows, all_trained
from core.catalogue.items import EMPTY_CATALOGUE, Catalogue
from core.events.history import History
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.item_values import ItemValues
from core.transitions.counts import TransitionCounts


@dataclass(frozen=True, slots=True)
class ServingSnapshot:
    """The catalogue, popularity and model of one moment.

    `popularity`: (n,) decayed log2 counts by catalogue row, -inf without events. `counts`: transition counts, which
    successive snapshots share, so that they also change within one; None in a process that does not recommend.
    `values`: the item values of `blend`; None where the encoder ranks alone. `arms`: this snapshot with other model
    versions, which arms of experiments name.
    """

    catalogue: Catalogue
    popularity: DoubleArray
    model: BoundModel | None
    counts: TransitionCounts | None = None
    values: ItemValues | None = None
    arms: Mapping[str, ServingSnapshot] = field(default_factory=dict)

    def of(self, version: str) -> ServingSnapshot | None:
        """The snapshot with a model version, "" for the champion; None where that version is not loaded."""
        if not version or (self.model is not None and self.model.version == version):
            return self
        return self.arms.get(version)

    def shares_all(self, other: ServingSnapshot) -> bool:
        """Whether everything is the same object in both."""
        one, two = ((s.catalogue, s.popularity, s.model, s.counts, s.values) for s in (self, other))
        return (
            all(part is same for part, same in zip(one, two, strict=True))
            and self.arms.keys() == other.arms.keys()
            and all(arm.shares_all(other.arms[version]) for version, arm in self.arms.items())
        )

    @property
    def blend(self) -> Blend | None:
        """The model's weights or, without a model, those of counts alone; None where the encoder ranks alone."""
        return COUNTS_BLEND if self.model is None else self.model.blend

    @property
    def trained(self) -> TrainedRows:
        """Whether the model has been trained on the items of some rows; without a model, true of all."""
        return all_trained if self.model is None else self.model.encoder.trained

    def binding(self, history: History) -> str:
        """What a user's vector depends on beside the history: the model version and the content of its items.

        The same in every process and at any item revision with this content.
        """
        version = "none" if self.model is None else self.model.version
        content_revision, num_unknown = self.catalogue.content_state(history.items)
        return f"{version}:{content_revision}:{num_unknown}"


EMPTY_SNAPSHOT = ServingSnapshot(EMPTY_CATALOGUE, np.empty(0), None)
