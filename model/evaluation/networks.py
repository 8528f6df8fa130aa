"""Networks as scorers: training by the product's own loop, then scores of all items after each history.

Independent of protocols. Shapes: B requests, L events, N items, C width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from core.arrays import FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.errors import InvalidInput, InvalidSettings
from core.evaluation.scorers import Past, TrainingPart
from model.features import FeatureSource, TextFeatures, digest_of
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import HM4SR, UNSEEN, Features
from model.training.data import (
    MIN_VALIDATION_EVENTS,
    Split,
    frequent_categories,
    training_data,
)
from model.training.precision import Precision, multiplies_bfloat16
from model.training.process_group import check_gpus
from model.training.resume import ResumeFile
from model.training.train import TrainingPlan, TrainingProgress, train_network


class NetworkClass(Protocol):
    """HM4SR, or a network with its methods."""

    def __call__(self, config: ModelConfig, *, num_items: int) -> HM4SR:
        """The network, not yet initialised."""
        ...


@dataclass(frozen=True)
class Contents:
    """The catalogue and what is known of its items, fitted once for all models."""

    catalogue: Catalogue
    sources: tuple[FeatureSource, ...] = ()

    @classmethod
    def of(cls, catalogue: Catalogue, *, text_size: int, sources: Sequence[FeatureSource] = ()) -> Contents:
        """With text fitted to the items of the catalogue's file (not to those that only events name)."""
        listed = catalogue.take(np.flatnonzero(catalogue.listed))
        if any(source.name == "text" for source in sources):  # another encoder's vectors take its place
            return cls(catalogue, tuple(sources))
        text = TextFeatures.fit(listed, size=text_size, seed=0)
        return cls(catalogue, (() if text is None else (text,)) + tuple(sources))

    @cached_property
    def digest(self) -> str:
        """A hash of all features."""
        return digest_of(self.sources)

    def modalities(self) -> tuple[Modality, ...]:
        """What a model's configuration says about them."""
        return tuple(Modality(source.name, source.size) for source in self.sources)

    def pick(self, config: ModelConfig) -> tuple[FeatureSource, ...]:
        """The sources of the configured contents; raises `InvalidInput` where one is missing."""
        ready = {source.name: source for source in self.sources}
        missing = [content.name for content in config.contents if content.name not in ready]
        if missing:
            msg = f"contents: wanted {', '.join(missing)} of the items, got none; give --items with --item-columns"
            raise InvalidInput(msg)
        return tuple(ready[content.name] for content in config.contents)


@dataclass
class NetworkScorer:
    """One network to be trained. `frozen_experts`: those of the Temporal MoE stay as they started."""

    network: NetworkClass
    config: ModelConfig
    plan: TrainingPlan
    contents: Contents
    seed: int
    progress: Callable[[TrainingProgress], None]
    frozen_experts: bool = False
    file: ResumeFile | None = None
    _part: TrainingPart | None = None

    def fit(self, part: TrainingPart) -> None:
        """Train with early stopping on the validation events, once for each part; `report` says how it went."""
        if part is self._part:
            return
        self._part = part
        sources = self.contents.pick(self.config)
        catalogue = self.contents.catalogue
        categories = frequent_categories(catalogue) if self.config.losses.cp > 0 else ()
        config = replace(self.config, num_categories=len(categories))
        data = training_data(
            part.columns,
            catalogue,
            self._split(part),
            sources=sources,
            category_names=categories,
            device=torch.device(self.plan.device),
        )
        config = config.decided(events_per_item=data.events_per_item)
        model = self.network(config, num_items=len(data.trained_rows)).initialise(seed=self.seed)
        if self.frozen_experts and model.temporal is not None:
            model.temporal.expert.requires_grad_(False)
        self.report: dict[str, Any] = train_network(
            model, data, plan=self.plan, seed=self.seed, progress=self.progress, file=self.file
        )
        self.report["parameters"] = model.num_parameters
        self.model = model.eval()
        id_rows = np.full(len(catalogue), UNSEEN, np.int64)
        id_rows[data.trained_rows] = np.arange(1, len(data.trained_rows) + 1)
        self._table = self._all_items(id_rows)
        self._unseen_table: Tensor | None = None  # until it is asked for

    def _split(self, part: TrainingPart) -> Split:
        """A sample of the validation events for early stopping; none if there are too few to be reliable."""
        limit = self.plan.max_validation_events
        return Split(part.train, part.validation_sample(limit=limit, least=MIN_VALIDATION_EVENTS, seed=self.seed))

    @torch.inference_mode()
    def _all_items(self, id_rows: IntArray) -> Tensor:
        """(N, C) vectors of the whole catalogue with these id rows; `UNSEEN` is that of all untrained items."""
        device = torch.device(self.plan.device)
        catalogue, sources = self.contents.catalogue, self.contents.pick(self.config)
        features = {source.name: _features(source, catalogue, device) for source in sources}
        return self.model.item_vectors(torch.from_numpy(id_rows).to(device), features)

    @property
    def reads_now(self) -> bool:
        """Whether the gap from the last event to the request shapes the query."""
        return self.config.now_gap

    def scores(self, pasts: Sequence[Past], *, gaps_ms: IntArray | None = None) -> FloatArray:
        """(B, N) scores of all items; 0 after an empty history. `gaps_ms`: an input of models that read the gap."""
        [scores_BN] = self._scores([self._table], pasts, gaps_ms)
        return scores_BN

    def scores_and_unseen(self, pasts: Sequence[Past]) -> tuple[FloatArray, FloatArray]:
        """(B, N) scores, and (B, N) those as if no item had an id row of its own."""
        if self._unseen_table is None:
            self._unseen_table = self._all_items(np.full(len(self._table), UNSEEN, np.int64))
        scores_BN, unseen_BN = self._scores([self._table, self._unseen_table], pasts, None)
        return scores_BN, unseen_BN

    @torch.inference_mode()
    def _scores(self, tables: Sequence[Tensor], pasts: Sequence[Past], gaps_ms: IntArray | None) -> list[FloatArray]:
        """(B, N) scores by each (N, C) table of item vectors; the users are encoded once."""
        scores = [np.zeros((len(pasts), len(table_NC)), np.float32) for table_NC in tables]
        known = np.array([row for row, past in enumerate(pasts) if len(past.history)], np.int64)
        if len(known):
            items_BL, times_ms_BL, lengths_B = self._windows([pasts[row] for row in known])
            queries_BC = self.model.last(self._table[items_BL], times_ms_BL, lengths_B)
            if gaps_ms is not None and self.model.now_gap is not None:
                told_B = self.model.now_gap.rows(_on(self._table.device, gaps_ms[known]))
                queries_BC = self.model.now_gap(queries_BC, told_B)
            for scores_BN, table_NC in zip(scores, tables, strict=True):
                found_BN = queries_BC @ table_NC.T
                if self.model.repeats is not None:
                    found_BN.scatter_add_(1, items_BL, self.model.repeats(times_ms_BL, lengths_B - 1))
                scores_BN[known] = found_BN.cpu().numpy()
        return scores

    def _windows(self, pasts: Sequence[Past]) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L) items and times and (B,) lengths of windows, cut as in serving and padded to the right."""
        shape, device = self.config.window, self._table.device
        starts = [shape.start(len(past.history)) for past in pasts]
        lengths_B = np.array([len(past.history) - start for past, start in zip(pasts, starts, strict=True)])
        items_BL = np.zeros((len(pasts), lengths_B.max()), np.int64)
        times_ms_BL = np.zeros_like(items_BL)
        for row, (past, start) in enumerate(zip(pasts, starts, strict=True)):
            items_BL[row, : lengths_B[row]] = past.history.items[start:]
            times_ms_BL[row, : lengths_B[row]] = past.history.times_ms[start:]
        return _on(device, items_BL), _on(device, times_ms_BL), _on(device, lengths_B)


def _on(device: torch.device, array: IntArray) -> Tensor:
    return torch.from_numpy(array).to(device)


def _features(source: FeatureSource, catalogue: Catalogue, device: torch.device) -> Features:
    values, present = source.transform(source.keys(catalogue))
    return Features(torch.from_numpy(values).to(device), torch.from_numpy(present).to(device))


DEVICES = ("auto", "cpu", "cuda")


def device_of(name: str) -> str:
    """The device by its name; "auto" takes a GPU where there is one. Raises `InvalidSettings`."""
    if name not in DEVICES:
        msg = f"--device: wanted one of {', '.join(DEVICES)}, got {name!r}"
        raise InvalidSettings(msg)
    if name == "cuda":
        check_gpus(1, option="--device", remedy="leave --device out, or give cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def precision_of(name: Precision, device: str) -> Precision:
    """What "auto" means on that device; raises `InvalidSettings` for bfloat16 where there is none."""
    return "bfloat16" if multiplies_bfloat16(name, torch.device(device)) else "float32"
