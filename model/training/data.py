"""What a training run reads: events with items renumbered, features and categories of candidates. No network here.

Shapes: n events, N candidates, K categories. Candidates are the items with events, those of the training part first.
Items without events are none: as negatives alone they would teach that "unseen" means bad.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.arrays import BoolArray, IntArray
from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from core.records.stored import EventColumns
from model.features import FeatureSource
from model.network.hm4sr import UNSEEN, Features
from model.training.sequences import UserRanges, held_out

MIN_VALIDATION_EVENTS = 20  # below it the metric says nothing: everything is trained on and the plan's epochs are run
MAX_CATEGORIES = 256


@dataclass(frozen=True, slots=True)
class Split:
    """Places of events: those trained on, and those (not the first of their user) that validation asks for."""

    train: IntArray
    validation: IntArray

    @classmethod
    def of(cls, columns: EventColumns, *, share: float, max_validation: int, seed: int) -> Split:
        """The last `share` in time is held out; raises `InvalidInput` where nothing is left to learn from."""
        held: BoolArray = held_out(columns, share=share)
        follows = np.diff(columns.users, prepend=columns.users[:1] - 1) == 0
        validation = np.flatnonzero(held & follows)
        if len(validation) < MIN_VALIDATION_EVENTS:
            held, validation = np.zeros_like(held), validation[:0]
        if not (follows & ~held).any():
            msg = f"training: wanted users with at least two events, got {len(columns)} events; collect more first"
            raise InvalidInput(msg)
        if len(validation) > max_validation:
            chosen = np.random.default_rng(seed).choice(validation, max_validation, replace=False)
            validation = np.sort(chosen)
        return cls(np.flatnonzero(~held), validation)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything that the loop reads, on one device."""

    columns: EventColumns
    split: Split
    trained_rows: IntArray  # catalogue rows of the items with an id row each
    items: Tensor  # (n,) candidate of each event
    times_ms: Tensor  # (n,)
    id_rows: Tensor  # (N,) id row of each candidate
    target_share: Tensor  # (N,) share of each candidate among the training events
    features: Mapping[str, Features]
    categories: Tensor  # (N, K) 1 where the candidate is in the category

    @property
    def events_per_item(self) -> float:
        """Of the items that have events in training."""
        return len(self.split.train) / max(1, len(self.trained_rows))

    @property
    def ranges(self) -> UserRanges:
        """Where each user's events lie among the training events."""
        return UserRanges.of(self.columns.users[self.split.train])

    def to(self, device: torch.device) -> TrainingData:
        """The same on another device."""
        names = ("items", "times_ms", "id_rows", "target_share", "categories")
        features = {name: features.to(device) for name, features in self.features.items()}
        return replace(self, features=features, **{name: getattr(self, name).to(device) for name in names})

    def take(self, rows_R: Tensor) -> dict[str, Features]:
        """The features of some candidates."""
        return {name: features.take(rows_R) for name, features in self.features.items()}


def training_data(
    columns: EventColumns,
    catalogue: Catalogue,
    split: Split,
    *,
    sources: Sequence[FeatureSource],
    category_names: Sequence[str],
    device: torch.device,
) -> TrainingData:
    """Renumbers items and computes what is known of them; raises `InvalidInput` for items not in the catalogue."""
    rows = catalogue_rows(columns, catalogue)
    trained = np.unique(rows[split.train])
    candidates = np.concatenate([trained, np.setdiff1d(rows, trained)])
    place_of_row = np.empty(len(catalogue), np.int64)
    place_of_row[candidates] = np.arange(len(candidates))
    items = torch.from_numpy(place_of_row[rows])
    counts = torch.bincount(items[torch.from_numpy(split.train)], minlength=len(candidates))
    ids = torch.arange(1, len(candidates) + 1)
    return TrainingData(
        columns=columns,
        split=split,
        trained_rows=trained,
        items=items.to(device),
        times_ms=torch.from_numpy(columns.times_ms).to(device),
        id_rows=torch.where(ids <= len(trained), ids, UNSEEN).to(device),
        target_share=(counts / counts.sum()).to(device),
        features={source.name: _features(source, catalogue, candidates, device) for source in sources},
        categories=_categories(catalogue, candidates, category_names).to(device),
    )


def catalogue_rows(columns: EventColumns, catalogue: Catalogue) -> IntArray:
    """The catalogue row of each event's item."""
    rows = catalogue.rows(columns.items)
    if len(rows) and rows.min() < 0:
        msg = f"training: {int((rows < 0).sum())} events are of items that the catalogue does not hold; reload it"
        raise InvalidInput(msg)
    return rows


def frequent_categories(catalogue: Catalogue) -> tuple[str, ...]:
    """The categories worth predicting: of at least two items, not of all, at most 256, the largest first."""
    counts = Counter(name for names in catalogue.categories for name in names)
    useful = [name for name in counts if 2 <= counts[name] < len(catalogue)]
    return tuple(sorted(useful, key=lambda name: (-counts[name], name))[:MAX_CATEGORIES])


def _features(source: FeatureSource, catalogue: Catalogue, candidates: IntArray, device: torch.device) -> Features:
    keys = source.keys(catalogue)
    values, present = source.transform([keys[row] for row in candidates])
    return Features(torch.from_numpy(values).to(device), torch.from_numpy(present).to(device))


def _categories(catalogue: Catalogue, candidates: IntArray, names: Sequence[str]) -> Tensor:
    column = {name: number for number, name in enumerate(names)}
    labels = torch.zeros(len(candidates), len(names))
    for number, row in enumerate(candidates):
        for name in catalogue.categories[row]:
            if name in column:
                labels[number, column[name]] = 1.0
    return labels
