"""Training: event columns and a catalogue become a bundle. Knows nothing about where events come from or bundles go.

Early stopping watches full-ranking NDCG@10 on the last events in time, each after the window strictly before it: what a
live system is asked to do (the last event of every user would let the model read what others did later). Those events
aren't trained on. With `max_seconds=None` a seed decides every bit on one CPU; with a budget, speed decides the steps.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from core.errors import InvalidInput
from core.items import Catalogue
from core.ports import EventColumns
from model.bundle import HM4SRBundle
from model.checkpoint import version_of
from model.config import Modality, ModelConfig
from model.features import FeatureSource, TextFeatures
from model.hm4sr import HM4SR
from model.objective import Objective
from model.sequences import Sequences, batches, cut_windows
from model.time_encoding import gap_rows
from model.training_data import Split, TrainingData, frequent_categories, training_data
from model.validation import validation_ndcg


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train. `max_seconds` bounds the whole, features included; the learning rate then falls with the time left.

    It stops after `patience` epochs in a row without a gain of `least_gain` over the best metric so far: smaller gains
    are kept, but lie within the noise of a few thousand held-out events. Above `sampled_above` items the softmax runs
    over the batch's targets and `num_samples` uniform ones, corrected by the logarithm of each candidate's probability
    to be there.
    """

    epochs: int = 20
    max_seconds: float | None = None
    batch_events: int = 2048
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    clip_norm: float = 5.0
    validation_share: float = 0.03
    max_validation_events: int = 2000
    patience: int = 2
    least_gain: float = 0.005
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
    sources: Sequence[FeatureSource] = (),
    seed: int = 0,
    progress: ProgressCallback = _silent,
) -> HM4SRBundle:
    """A model of these events (sorted by user, time, sequence) and the content of the catalogue.

    `sources` gives the features of contents other than text, which is fitted here. Raises `InvalidInput` where there is
    nothing to learn from. Text that tells no items apart is left out of the model.
    """
    started_s = time.monotonic()
    config, plan = config or ModelConfig(), plan or TrainingPlan()
    split = Split.of(columns, share=plan.validation_share, max_validation=plan.max_validation_events, seed=seed)
    fitted = _fit_sources(catalogue, config, sources, seed)
    categories = frequent_categories(catalogue) if config.losses.cp > 0 else ()
    contents = tuple(Modality(source.name, source.size) for source in fitted)
    config = replace(config, contents=contents, num_categories=len(categories))
    device = torch.device(plan.device)
    data = training_data(columns, catalogue, split, sources=fitted, category_names=categories, device=device)
    model = HM4SR(config, num_items=len(data.trained_rows)).initialise(seed=seed)
    report = train_network(model, data, plan=plan, seed=seed, progress=progress, started_s=started_s)
    item_ids = tuple(catalogue.item_ids[row] for row in data.trained_rows)
    bundle = HM4SRBundle(model.cpu(), item_ids, fitted, "untitled", {**report, "categories": list(categories)})
    return replace(bundle, version=version_of(bundle))


def train_network(
    model: HM4SR,
    data: TrainingData,
    *,
    plan: TrainingPlan,
    seed: int,
    progress: ProgressCallback = _silent,
    started_s: float | None = None,
) -> dict[str, Any]:
    """Train an initialised network in place, on the device of its data; the report. Networks compared train so too."""
    _freeze_times(model, data, seed)
    started_s = time.monotonic() if started_s is None else started_s
    return _Run(model.to(data.items.device), data, plan, seed, progress, started_s).train()


def _fit_sources(
    catalogue: Catalogue, config: ModelConfig, given: Sequence[FeatureSource], seed: int
) -> tuple[FeatureSource, ...]:
    """The feature sources of the configured contents, in their order."""
    ready = {source.name: source for source in given}
    fitted: list[FeatureSource | None] = []
    for content in config.contents:
        if content.name in ready:
            fitted.append(ready[content.name])
        elif content.name == "text":
            fitted.append(TextFeatures.fit(catalogue, size=content.size, seed=seed))
        else:
            msg = f"contents: no features for {content.name}; pass them in sources, or take it out of the configuration"
            raise InvalidInput(msg)
    return tuple(source for source in fitted if source is not None)


def _freeze_times(model: HM4SR, data: TrainingData, seed: int) -> None:
    """Time's origin is the newest training event; the "shuffled" ablation draws from the gaps of training events."""
    encoding, train = model.time_encoding, torch.from_numpy(data.split.train)
    times_ms = data.times_ms.cpu()[train]
    encoding.origin_ms.fill_(int(times_ms.max()))
    users = torch.from_numpy(data.columns.users)[train]
    gaps_ms = times_ms.diff()[users.diff() == 0]
    drawn = np.random.default_rng(seed).integers(0, len(gaps_ms), len(encoding.shuffle_pool))
    rows = gap_rows(gaps_ms[torch.from_numpy(drawn)], scale=encoding.scale, num_rows=len(encoding.gap_embedding))
    encoding.shuffle_pool.copy_(rows)


@dataclass
class _Run:
    """One training run: the state of the loop."""

    model: HM4SR
    data: TrainingData
    plan: TrainingPlan
    seed: int
    progress: ProgressCallback
    started_s: float
    step: int = 0
    steps: int = 0
    metric: float | None = None
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.objective = Objective(self.model, self.data, self.plan.sampled_above, self.plan.num_samples)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.plan.learning_rate, fused=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since training was asked for."""
        return time.monotonic() - self.started_s

    @property
    def done(self) -> float:
        """The share of the run that is over: by steps, or by the clock where that ends it earlier."""
        by_clock = self.elapsed_s / self.plan.max_seconds if self.plan.max_seconds else 0.0
        return min(1.0, max(self.step / max(1, self.steps), by_clock))

    @property
    def out_of_time(self) -> bool:
        """Whether the budget is spent."""
        return self.plan.max_seconds is not None and self.elapsed_s >= self.plan.max_seconds

    def train(self) -> dict[str, Any]:
        """Epochs until the plan, the patience or the budget ends; the model is left with the best weights seen."""
        rng = np.random.default_rng(self.seed)
        best, gained_at, epoch = -1.0, 0, 0
        best_state = copy.deepcopy(self.model.state_dict())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            for epoch in range(1, self.plan.epochs + 1):
                self._epoch(epoch, rng)
                self.metric = validation_ndcg(self.model, self.data) if len(self.data.split.validation) else None
                self.history += [] if self.metric is None else [self.metric]
                if self.metric is None or self.metric > best * (1 + self.plan.least_gain):
                    gained_at = epoch
                if self.metric is None or self.metric > best:
                    best = self.metric or 0.0
                    best_state = copy.deepcopy(self.model.state_dict())
                if epoch - gained_at >= self.plan.patience or self.out_of_time:
                    break
        self.model.load_state_dict(best_state)
        return self._report(epoch)

    def _report(self, epochs: int) -> dict[str, Any]:
        """What the checkpoint says about this run."""
        told = self.model.now_gap is not None and self.history
        return {
            "seed": self.seed,
            "epochs": epochs,
            "steps": self.step,
            "seconds": round(self.elapsed_s, 3),
            "validation_ndcg_10": max(self.history, default=None),
            "validation_history": self.history,
            "validation_ndcg_10_now_gap": validation_ndcg(self.model, self.data, with_now_gap=True) if told else None,
            "training_events": len(self.data.split.train),
            "validation_events": len(self.data.split.validation),
            "trained_items": len(self.data.trained_rows),
        }

    def _epoch(self, epoch: int, rng: np.random.Generator) -> None:
        """One pass over all training events."""
        self.model.train()
        sequences = cut_windows(self.data.ranges, self.model.config.window, rng)
        todo = list(batches(sequences, max_events=self.plan.batch_events, rng=rng))
        self.steps = self.step + len(todo) * (self.plan.epochs - epoch + 1)
        for batch in todo:
            if self.out_of_time:
                break
            loss = self._step(batch)
            left_s = self.elapsed_s / max(self.done, 1e-3) * (1 - self.done)
            self.progress(TrainingProgress(epoch, self.step, self.steps, loss, self.metric, self.elapsed_s, left_s))

    def _step(self, batch: Sequences) -> float:
        """One step of the optimiser: warm-up, then a cosine down to 2% of the learning rate."""
        warm = min(1.0, (self.step + 1) / max(1, self.plan.warmup_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * self.done)) / 2)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip_norm)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())
