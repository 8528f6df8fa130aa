"""Training: event columns and a catalogue become a bundle. Independent of event sources and of what bundles are for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.checkpoint import version_of
from model.features import FeatureSource, TextFeatures, digest_of
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import HM4SR
from model.network.time_encoding import gap_rows
from model.training.data import Split, TrainingData, frequent_categories, training_data
from model.training.plan import ProgressCallback, Timer, TrainingPlan, TrainingProgress, silent
from model.training.process_group import SINGLE, ProcessGroup
from model.training.resume import ResumeFile, fingerprint
from model.training.run import TrainingRun

__all__ = ["ProgressCallback", "TrainingPlan", "TrainingProgress", "assist", "train", "train_network"]


def train(
    columns: EventColumns,
    catalogue: Catalogue,
    *,
    config: ModelConfig | None = None,
    plan: TrainingPlan | None = None,
    sources: Sequence[FeatureSource] = (),
    seed: int = 0,
    progress: ProgressCallback = silent,
    resume: Path | None = None,
    timer: Timer = time.monotonic,
    group: ProcessGroup = SINGLE,
) -> HM4SRBundle:
    """A model of these events (sorted by user, time, sequence) and the content of the catalogue.

    `sources` gives the features of contents other than text, which is fitted here; text that tells no items apart is
    left out of the model. `resume` names a file that keeps the run after each epoch: the same call after a crash goes
    on from there and ends in the same weights. `timer` measures the time budget. `group`: the processes that share the
    work; this is process 0, the others call `assist`. Raises `InvalidInput` where there is nothing to learn from, and
    `TrainingProcessLost` where another process has ended.
    """
    started_s = timer()
    config, plan = config or ModelConfig(), plan or TrainingPlan()
    split = Split.of(columns, share=plan.validation_share, max_validation=plan.max_validation_events, seed=seed)
    fitted = _fit_sources(catalogue, config, sources, seed)
    categories = frequent_categories(catalogue) if config.losses.cp > 0 else ()
    contents = tuple(Modality(source.name, source.size) for source in fitted)
    config = replace(config, contents=contents, num_categories=len(categories))
    device = torch.device(plan.device)
    data = training_data(columns, catalogue, split, sources=fitted, category_names=categories, device=device)
    config = config.decided(events_per_item=data.events_per_item)
    model = HM4SR(config, num_items=len(data.trained_rows)).initialise(seed=seed)
    decided = fingerprint(columns, catalogue, config, plan, seed, digest_of(fitted))
    file = ResumeFile(resume, decided) if resume else None
    report = train_network(
        model, data, plan=plan, seed=seed, progress=progress, started_s=started_s, file=file, timer=timer, group=group
    )
    item_ids = tuple(catalogue.item_ids[row] for row in data.trained_rows)
    bundle = HM4SRBundle(model.cpu(), item_ids, fitted, "untitled", {**report, "categories": list(categories)})
    return replace(bundle, version=version_of(bundle))


def train_network(
    model: HM4SR,
    data: TrainingData,
    *,
    plan: TrainingPlan,
    seed: int,
    progress: ProgressCallback = silent,
    started_s: float | None = None,
    file: ResumeFile | None = None,
    timer: Timer = time.monotonic,
    group: ProcessGroup = SINGLE,
) -> dict[str, Any]:
    """Train an initialised network in place, on the device of its data; the report. Networks compared train so too."""
    _freeze_times(model, data, seed)
    started_s = timer() if started_s is None else started_s
    group.broadcast(SharedTraining(model, data, plan, seed, torch.get_num_threads()))
    model = model.to(data.items.device)
    run = TrainingRun(model, data, plan, seed, progress, started_s, file, timer=timer, group=group)
    return run.train()


@dataclass(frozen=True, slots=True)
class SharedTraining:
    """What process 0 sends to the others, which hold no data of their own."""

    model: HM4SR
    data: TrainingData
    plan: TrainingPlan
    seed: int
    num_threads: int


def assist(group: ProcessGroup) -> None:
    """Train with process 0 whatever it trains, until it broadcasts None."""
    while (shared := group.broadcast()) is not None:
        torch.set_num_threads(shared.num_threads)
        device = torch.device(shared.plan.device)
        model, data = shared.model.to(device), shared.data.to(device)
        TrainingRun(model, data, shared.plan, shared.seed, silent, time.monotonic(), None, group=group).train()


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
