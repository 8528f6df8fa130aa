"""Fine-tuning: training continues on the newest events, and on randomly replayed old ones against forgetting.

The tables grow for new items; feature transforms, categories and the origin of time stay those of the last
full training. Independent of where events come from and where bundles go.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from core.events.history import WindowShape
from core.records.stored import EventColumns
from core.times import second_text
from model.bundle import HM4SRBundle
from model.checkpoint import version_of
from model.training.data import Split, TrainingData, training_data
from model.training.growth import grow
from model.training.low_rank import LowRankTuning
from model.training.plan import NextItemLoss, ProgressCallback, TrainingPlan, silent
from model.training.resume import ResumeFile, fingerprint
from model.training.run import TrainingRun
from model.training.sequences import Sequences, UserRanges, cut_windows


@dataclass(frozen=True, slots=True)
class FineTuningPlan:
    """How to fine-tune. `replay`: how many events of old windows are trained on again for each new one.

    `num_samples`: the softmax runs over the targets of a step and so many sampled items (log-Q corrected); over all
    items where there are fewer. `loss`, `calibration`: as in `TrainingPlan`. `rank`:
    weights learn low-rank updates only, `anchor` holds them near the parent's (see `low_rank`); 0: all weights learn.
    """

    epochs: int = 2
    max_seconds: float | None = None
    batch_events: int = 1024
    learning_rate: float = 2e-3
    replay: float = 1.0
    num_samples: int = 2048
    loss: NextItemLoss = "softmax"
    calibration: float = 0.75
    rank: int = 0
    anchor: float = 0.0

    def training_plan(self) -> TrainingPlan:
        """The plan of the training loop: nothing is held out, because the gate judges the result on later events."""
        return TrainingPlan(
            epochs=self.epochs,
            max_seconds=self.max_seconds,
            batch_events=self.batch_events,
            learning_rate=self.learning_rate,
            warmup_steps=10,
            validation_share=0.0,
            sampled_above=self.num_samples,
            num_samples=self.num_samples,
            loss=self.loss,
            calibration=self.calibration,
        )


def fine_tune(
    parent: HM4SRBundle,
    columns: EventColumns,
    catalogue: Catalogue,
    *,
    since_ms: int,
    plan: FineTuningPlan | None = None,
    seed: int = 0,
    progress: ProgressCallback = silent,
    resume: Path | None = None,
) -> HM4SRBundle:
    """The parent after learning the events from `since_ms` on; older ones in `columns` are context and replay.

    `resume`: as in `train`. Raises `InvalidInput` where there is nothing new to learn.
    """
    started_s = time.monotonic()
    plan = plan or FineTuningPlan()
    everything = Split(np.arange(len(columns), dtype=np.int64), np.empty(0, np.int64))
    names = tuple(parent.report.get("categories", ()))
    data = training_data(
        columns, catalogue, everything, sources=parent.sources, category_names=names, device=torch.device("cpu")
    )
    ids = [catalogue.item_ids[row] for row in data.trained_rows]
    known = set(parent.item_ids)
    new_ids = [item_id for item_id in ids if item_id not in known]
    model = grow(parent, catalogue, new_ids)
    item_ids = (*parent.item_ids, *new_ids)
    row_of = {item_id: row for row, item_id in enumerate(item_ids, start=1)}
    data = replace(
        data,
        id_rows=torch.tensor([row_of[item_id] for item_id in ids]),
        target_share=target_share(data, since_ms, plan.replay),
    )
    recent = recent_windows(columns, since_ms, parent.window)
    if not len(recent):
        since = f"{second_text(since_ms)} UTC"
        msg = f"fine-tuning: wanted users with an event since {since} and one before it, got none; wait for more"
        raise InvalidInput(msg)

    def windows(rng: np.random.Generator) -> Sequences:
        return recent.join(replayed(data.ranges, parent.window, int(plan.replay * recent.num_targets), rng))

    file = ResumeFile(resume, fingerprint(columns, catalogue, parent.version, plan, since_ms, seed)) if resume else None
    low_rank = LowRankTuning.begin(model, rank=plan.rank, anchor=plan.anchor, seed=seed) if plan.rank else None
    penalty = low_rank.penalty if low_rank else None
    run = TrainingRun(
        model, data, plan.training_plan(), seed, progress, started_s, file, windows=windows, penalty=penalty
    )
    report = run.train()
    if low_rank:
        low_rank.end()
    facts = {"parent": parent.version, "since_ms": since_ms, "new_items": len(new_ids), "categories": list(names)}
    bundle = HM4SRBundle(model, item_ids, parent.sources, "untitled", {**report, **facts})
    return replace(bundle, version=version_of(bundle))


def target_share(data: TrainingData, since_ms: int, replay: float) -> Tensor:
    """(N,) how often each candidate is a target: among the new events, and among all in the replayed part."""
    new = torch.bincount(data.items[data.times_ms >= since_ms], minlength=len(data.target_share))
    return (new / max(1, int(new.sum())) + replay * data.target_share) / (1 + replay)


def recent_windows(columns: EventColumns, since_ms: int, shape: WindowShape) -> Sequences:
    """Windows in which the events from `since_ms` on (but a user's first) are targets, with earlier ones as context.

    They end at each user's last event and begin at multiples of the step, as in serving.
    """
    ranges = UserRanges.of(columns.users)
    num_recent = np.add.reduceat((columns.times_ms >= since_ms).astype(np.int64), ranges.first)
    active = (num_recent > 0) & (ranges.count > 1)
    first, inputs = ranges.first[active], ranges.count[active] - 1
    targets = np.minimum(num_recent[active], inputs)
    size = shape.size - shape.size % shape.step
    counts = -(-(targets + shape.step - 1) // size)
    start = shape.step * -(-np.maximum(inputs - counts * size, 0) // shape.step)
    counts = np.maximum(-(-(inputs - start) // size), 1)
    user = np.repeat(np.arange(len(first)), counts)
    number = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = start[user] + number * size
    end = np.minimum(begin + size, inputs[user])
    context = np.clip((inputs - targets)[user] - begin, 0, end - begin)
    windows = Sequences(first[user] + begin, end - begin, context)
    return windows.take(np.flatnonzero(context < windows.length))


def replayed(ranges: UserRanges, shape: WindowShape, num_events: int, rng: np.random.Generator) -> Sequences:
    """Windows drawn at random over all histories, of about so many events together."""
    windows = cut_windows(ranges, shape, rng)
    order = rng.permutation(len(windows))
    kept = order[: int(np.searchsorted(np.cumsum(windows.length[order]), num_events, side="right"))]
    return windows.take(kept)
