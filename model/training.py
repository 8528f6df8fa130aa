"""Training: event columns and a catalogue become a bundle. Knows nothing about where events come from or bundles go.

Next-item cross-entropy at every position in one pass. Shapes: N candidates, B batch, L events, P positions, C width.

Early stopping watches full-ranking NDCG@10 on the last events in time, each after the window strictly before it: what a
live system is asked to do (the last event of every user would let the model read what others did later). Those events
aren't trained on. With `max_seconds=None` a seed decides every bit on one CPU; with a budget, speed decides the steps.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import InvalidInput
from core.history import IntArray
from core.items import Catalogue
from core.ports import EventColumns
from model.bundle import HM4SRBundle
from model.checkpoint import version_of
from model.config import Modality, ModelConfig
from model.features import FeatureSource, TextFeatures
from model.hm4sr import HM4SR, UNSEEN, Features
from model.sequences import Sequences, UserRanges, batches, contexts, cut_windows, held_out, padded
from model.softmax import cross_entropy

MIN_VALIDATION_EVENTS = 20  # below it the metric says nothing: everything is trained on and the plan's epochs are run


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train. `max_seconds` bounds the whole, features included; the learning rate then falls with the time left.

    Above `sampled_above` items the softmax runs over the batch's targets and `num_samples` uniform ones, corrected by
    the logarithm of each candidate's probability to be there.
    """

    epochs: int = 20
    max_seconds: float | None = None
    batch_events: int = 2048
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    clip_norm: float = 5.0
    validation_share: float = 0.03
    max_validation_events: int = 2000
    patience: int = 3
    sampled_above: int = 50_000
    num_samples: int = 8192
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where training stands. `metric`: the newest validation NDCG@10, or None before the first."""

    epoch: int
    step: int
    steps: int
    loss: float
    metric: float | None
    elapsed_s: float
    left_s: float


ProgressCallback = Callable[[TrainingProgress], None]


def _silent(progress: TrainingProgress) -> None:
    """The null object of progress callbacks."""


def train(
    columns: EventColumns,
    catalogue: Catalogue,
    *,
    config: ModelConfig | None = None,
    plan: TrainingPlan | None = None,
    seed: int = 0,
    progress: ProgressCallback = _silent,
) -> HM4SRBundle:
    """A model of these events (sorted by user, time, sequence) and the content of the catalogue.

    Raises `InvalidInput` where there is nothing to learn from. A modality without content in the catalogue is left out.
    """
    started_s = time.monotonic()
    config, plan = config or ModelConfig(), plan or TrainingPlan()
    data = _TrainingData.of(columns, catalogue, plan, seed)
    sources = _fit_sources(catalogue, config, seed)
    config = replace(config, contents=tuple(Modality(source.name, source.size) for source in sources))
    model = HM4SR(config, num_items=len(data.trained_rows)).initialise(seed=seed)
    model.time_encoding.origin_ms.fill_(int(columns.times_ms.max()))
    run = _Run(model, data, _features_of(sources, catalogue, data), plan, seed, progress, started_s)
    report = run.train()
    item_ids = tuple(catalogue.item_ids[row] for row in data.trained_rows)
    bundle = HM4SRBundle(model.cpu(), item_ids, sources, "untitled", {**report, "seed": seed})
    return replace(bundle, version=version_of(bundle))


def _fit_sources(catalogue: Catalogue, config: ModelConfig, seed: int) -> tuple[FeatureSource, ...]:
    """The feature sources of the configured contents, fitted to the catalogue."""
    sources: list[FeatureSource] = []
    for content in config.contents:
        if content.name != "text":
            msg = f"contents: wanted text, got {content.name}; other modalities need a feature source"
            raise InvalidInput(msg)
        text = TextFeatures.fit(catalogue, size=content.size, seed=seed)
        sources += [] if text is None else [text]
    return tuple(sources)


@dataclass(frozen=True)
class _TrainingData:
    """Events with items renumbered: candidates are the items with events, those in the training part first.

    Items without events are no candidates: as negatives alone they would teach that "unseen" means bad.
    """

    columns: EventColumns
    candidate_rows: IntArray  # (N,) catalogue rows
    trained_rows: IntArray  # the first of them, with an id row each
    items: Tensor  # (n,) candidate of each event
    times_ms: Tensor
    train_places: IntArray  # places of training events
    validation_places: IntArray

    @classmethod
    def of(cls, columns: EventColumns, catalogue: Catalogue, plan: TrainingPlan, seed: int) -> _TrainingData:
        rows = catalogue.rows(columns.items)
        if len(rows) and rows.min() < 0:
            msg = f"training: {int((rows < 0).sum())} events are of items that the catalogue does not hold; reload it"
            raise InvalidInput(msg)
        held = held_out(columns, share=plan.validation_share)
        follows = np.diff(columns.users, prepend=columns.users[:1] - 1) == 0
        validation = np.flatnonzero(held & follows)
        if len(validation) < MIN_VALIDATION_EVENTS:
            held, validation = np.zeros_like(held), validation[:0]
        if not (follows & ~held).any():
            msg = f"training: wanted users with at least two events, got {len(columns)} events; collect more first"
            raise InvalidInput(msg)
        if len(validation) > plan.max_validation_events:
            chosen = np.random.default_rng(seed).choice(validation, plan.max_validation_events, replace=False)
            validation = np.sort(chosen)
        trained = np.unique(rows[~held])
        candidates = np.concatenate([trained, np.setdiff1d(rows, trained)])
        place_of_row = np.empty(len(catalogue), np.int64)
        place_of_row[candidates] = np.arange(len(candidates))
        items, times = torch.from_numpy(place_of_row[rows]), torch.from_numpy(columns.times_ms)
        return cls(columns, candidates, trained, items, times, np.flatnonzero(~held), validation)


def _features_of(sources: tuple[FeatureSource, ...], catalogue: Catalogue, data: _TrainingData) -> dict[str, Features]:
    """Every candidate's features, by modality."""
    found = {}
    for source in sources:
        keys = source.keys(catalogue)
        values, present = source.transform([keys[row] for row in data.candidate_rows])
        found[source.name] = Features(torch.from_numpy(values), torch.from_numpy(present))
    return found


@dataclass
class _Run:
    """One training run: the state of the loop."""

    model: HM4SR
    data: _TrainingData
    features: dict[str, Features]
    plan: TrainingPlan
    seed: int
    progress: ProgressCallback
    started_s: float
    step: int = 0
    steps: int = 0
    metric: float | None = None
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = torch.device(self.plan.device)
        self.model.to(self.device)
        self.features = {
            name: Features(f.values.to(self.device), f.present.to(self.device)) for name, f in self.features.items()
        }
        self.items, self.times_ms = self.data.items.to(self.device), self.data.times_ms.to(self.device)
        num_trained = len(self.data.trained_rows)
        ids = torch.arange(1, len(self.data.candidate_rows) + 1, device=self.device)
        self.id_rows = torch.where(ids <= num_trained, ids, UNSEEN)
        train_items = self.data.items[torch.from_numpy(self.data.train_places)]
        counts = torch.bincount(train_items, minlength=len(ids)).to(self.device)
        self.target_share = counts / counts.sum()
        self.sampled = len(ids) > self.plan.sampled_above
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.plan.learning_rate, fused=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since training was asked for."""
        return time.monotonic() - self.started_s

    @property
    def out_of_time(self) -> bool:
        """Whether the budget is spent."""
        return self.plan.max_seconds is not None and self.elapsed_s >= self.plan.max_seconds

    def train(self) -> dict[str, Any]:
        """Epochs until the plan, the patience or the budget ends; the model is left with the best weights seen."""
        rng = np.random.default_rng(self.seed)
        train_users = self.data.columns.users[self.data.train_places]
        ranges = UserRanges.of(train_users)
        best, best_state, stale, epoch = -1.0, copy.deepcopy(self.model.state_dict()), 0, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            for epoch in range(1, self.plan.epochs + 1):
                self._epoch(epoch, ranges, rng)
                self.metric = self.validate() if len(self.data.validation_places) else None
                self.history.append(self.metric if self.metric is not None else math.nan)
                if self.metric is None or self.metric > best:
                    best, stale = (self.metric or 0.0), 0
                    best_state = copy.deepcopy(self.model.state_dict())
                else:
                    stale += 1
                if stale >= self.plan.patience or self.out_of_time:
                    break
        self.model.load_state_dict(best_state)
        return self._report(epoch, best if len(self.data.validation_places) else None)

    def _report(self, epochs: int, metric: float | None) -> dict[str, Any]:
        """What the checkpoint says about this run."""
        return {
            "epochs": epochs,
            "steps": self.step,
            "seconds": round(self.elapsed_s, 3),
            "validation_ndcg_10": metric,
            "validation_history": [value for value in self.history if not math.isnan(value)],
            "training_events": len(self.data.train_places),
            "validation_events": len(self.data.validation_places),
            "trained_items": len(self.data.trained_rows),
        }

    def _epoch(self, epoch: int, ranges: UserRanges, rng: np.random.Generator) -> None:
        """One pass over all training events."""
        self.model.train()
        sequences = cut_windows(ranges, self.model.config.window, rng)
        todo = list(batches(sequences, max_events=self.plan.batch_events, rng=rng))
        if epoch == 1:
            self.steps = len(todo) * self.plan.epochs
        for batch in todo:
            if self.out_of_time:
                break
            loss = self._step(batch)
            left_s = self.elapsed_s / max(self.done, 1e-3) * (1 - self.done)
            self.progress(TrainingProgress(epoch, self.step, self.steps, loss, self.metric, self.elapsed_s, left_s))

    @property
    def done(self) -> float:
        """The share of the run that is over: by steps, or by the clock where that ends it earlier."""
        by_steps = self.step / max(1, self.steps)
        return min(1.0, max(by_steps, self.elapsed_s / self.plan.max_seconds if self.plan.max_seconds else 0.0))

    def _step(self, batch: Sequences) -> float:
        """One step of the optimiser."""
        warm = min(1.0, (self.step + 1) / max(1, self.plan.warmup_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * self.done)) / 2)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip_norm)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _loss(self, batch: Sequences) -> Tensor:
        """Cross-entropy of the next item at every real position."""
        places_BL, real_BL = padded(batch)
        places = torch.from_numpy(self.data.train_places[places_BL]).to(self.device)
        targets = torch.from_numpy(self.data.train_places[places_BL + 1][real_BL]).to(self.device)
        items_BL, targets_P = self.items[places], self.items[targets]
        candidates_N, bias_N = self._candidates(targets_P)
        rows_R = candidates_N if not self.sampled else torch.unique(torch.cat([candidates_N, items_BL.flatten()]))
        vectors_RC = self.model.item_vectors(self._dropped_ids(rows_R), self._take(rows_R))
        if self.sampled:
            items_BL, candidates_R = torch.searchsorted(rows_R, items_BL), torch.searchsorted(rows_R, candidates_N)
            candidates_NC, targets_P = vectors_RC[candidates_R], torch.searchsorted(candidates_N, targets_P)
        else:
            candidates_NC = vectors_RC
        queries_BLC = self.model(torch.nn.functional.embedding(items_BL, vectors_RC), self.times_ms[places])
        queries_PC = queries_BLC[torch.from_numpy(real_BL).to(self.device)]
        return cross_entropy(queries_PC, candidates_NC, targets_P, bias_N)

    def _candidates(self, targets_P: Tensor) -> tuple[Tensor, Tensor | None]:
        """The candidates of one step, ascending, and -log of the probability that each is among them."""
        num_items = len(self.id_rows)
        if not self.sampled:
            return torch.arange(num_items, device=self.device), None
        drawn = torch.randint(0, num_items, (self.plan.num_samples,)).to(self.device)
        candidates_N = torch.unique(torch.cat([targets_P, drawn]))
        expected_N = len(targets_P) * self.target_share[candidates_N] + self.plan.num_samples / num_items
        return candidates_N, -torch.log(-torch.expm1(-expected_N))

    def _dropped_ids(self, rows_R: Tensor) -> Tensor:
        """The id rows of candidates, a random few replaced by the "unseen" row for this step, everywhere at once."""
        ids_R = self.id_rows[rows_R]
        dropped_R = torch.rand(len(rows_R)).to(self.device) < self.model.config.id_dropout
        return torch.where(dropped_R, UNSEEN, ids_R)

    def _take(self, rows_R: Tensor) -> dict[str, Features]:
        return {name: features.take(rows_R) for name, features in self.features.items()}

    @torch.no_grad()
    def validate(self) -> float:
        """Full-ranking NDCG@10 over the held-out events, every candidate against each; ties count as losses."""
        self.model.eval()
        rows_N = torch.arange(len(self.id_rows), device=self.device)
        table_NC = self.model.item_vectors(self.id_rows, self._take(rows_N))
        columns, places = self.data.columns, self.data.validation_places
        windows = contexts(columns, places, self.model.config.window)
        gain = 0.0
        order = np.argsort(windows.length, kind="stable")
        for part in np.array_split(order, math.ceil(len(order) / 64)):
            window = Sequences(windows.first[part], windows.length[part])
            inputs = torch.from_numpy(padded(window)[0]).to(self.device)
            lengths_B = torch.from_numpy(window.length).to(self.device)
            queries_BC = self.model.last(table_NC[self.items[inputs]], self.times_ms[inputs], lengths_B)
            scores_BN = queries_BC @ table_NC.T
            targets_B1 = self.items[torch.from_numpy(places[part]).to(self.device)].unsqueeze(1)
            ranks_B = (scores_BN >= scores_BN.gather(1, targets_B1)).sum(1)
            gain += float((1 / torch.log2(ranks_B + 1.0))[ranks_B <= 10].sum())
        return gain / len(places)
