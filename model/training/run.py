"""One training run: epochs of optimiser steps, validated on held-out events, saved after each epoch.

Early stopping monitors full-ranking NDCG@10 on the newest events, each predicted from the window strictly before it, as
in a live system (leave-one-out would train on events of other users that came later). These events are not trained on.
With `max_seconds=None` and float32 on one CPU, the seed determines every bit of the result; with a time budget, the
number of steps depends on speed. Independent of catalogues.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.network.hm4sr import HM4SR
from model.training.adam import Adam
from model.training.data import TrainingData
from model.training.objective import Objective
from model.training.plan import ProgressCallback, Timer, TrainingPlan, TrainingProgress
from model.training.precision import autocast, multiplies_bfloat16
from model.training.process_group import SINGLE, ProcessGroup
from model.training.recency import target_probabilities, with_target_share
from model.training.resume import Counters, ResumeFile, RunState, StoredRun
from model.training.sequences import Sequences, batches, cut_windows
from model.training.validation import validation_ndcg


@dataclass
class TrainingRun:
    """One training run: the state of the loop."""

    model: HM4SR
    data: TrainingData
    plan: TrainingPlan
    seed: int
    progress: ProgressCallback
    started_s: float
    file: ResumeFile | None
    counters: Counters = field(default_factory=Counters)
    steps: int = 0
    windows: Callable[[np.random.Generator], Sequences] | None = None  # of an epoch; None: all training events
    penalty: Callable[[], Tensor] | None = None  # added to the loss of each step
    history: list[float] = field(default_factory=list)
    timer: Timer = time.monotonic
    group: ProcessGroup = SINGLE
    elapsed_s: float = 0.0  # since the training started, with those of the runs that this one resumes

    def __post_init__(self) -> None:
        if self.model.config.released and self.model.temporal is not None:
            self.model.temporal.expert.requires_grad_(False)  # the released code never trained them
        self.device = self.data.items.device
        self.bfloat16 = multiplies_bfloat16(self.plan.precision, self.device)
        dtype = torch.bfloat16 if self.bfloat16 else torch.float32
        plan, data, probabilities_n = self.plan, self.data, None
        if plan.half_life:
            probabilities_n = target_probabilities(data, plan.half_life)
            data = with_target_share(data, probabilities_n)
        # What all processes draw alike; a process alone draws dropout from the same generator.
        self.draws = torch.default_generator if self.group.size == 1 else torch.Generator().manual_seed(self.seed)
        self.objective = Objective(
            self.model,
            data,
            sampled_above=0 if plan.loss == "mixed" else plan.sampled_above,
            num_samples=plan.num_samples,
            dtype=dtype,
            probabilities_n=probabilities_n,
            group=self.group,
            draws=self.draws,
            calibration=plan.calibration if plan.loss == "gbce" else None,
        )
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = Adam(trained)

    @property
    def metric(self) -> float | None:
        """The newest validation metric."""
        return self.history[-1] if self.history else None

    @property
    def done(self) -> float:
        """The completed share of the run, by steps or by time budget, whichever is further."""
        by_clock = self.elapsed_s / self.plan.max_seconds if self.plan.max_seconds else 0.0
        return min(1.0, max(self.counters.step / max(1, self.steps), by_clock))

    @property
    def out_of_time(self) -> bool:
        """Whether the budget is spent."""
        return self.plan.max_seconds is not None and self.elapsed_s >= self.plan.max_seconds

    def _read_clock(self) -> None:
        """All processes go by the clock of process 0: they decide and learn alike."""
        self.elapsed_s = self.group.agreed(self.timer() - self.started_s)

    def train(self) -> dict[str, Any]:
        """Epochs until the plan, the patience or the budget ends; the model is left with the best weights seen."""
        rng = np.random.default_rng(self.seed)
        best = copy.deepcopy(self.model.state_dict())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            best = self._resumed(rng) or best
            self._read_clock()
            while not self._has_ended:
                self.counters.epoch += 1
                self._epoch(rng)
                best = self._validated(best)
                self._read_clock()
                if self.file is not None:
                    self.counters.elapsed_s = self.elapsed_s
                    state = RunState(self.counters, self.history, best)
                    self.file.save(state, self.model, self.optimizer, rng, self.draws)
        self.model.load_state_dict(best)
        if self.file is not None:
            self.file.remove()
        return self._report()

    @property
    def _has_ended(self) -> bool:
        stale = self.counters.epoch - self.counters.gained_at >= self.plan.patience
        return stale or self.out_of_time or self.counters.epoch >= self.plan.epochs

    def _resumed(self, rng: np.random.Generator) -> dict[str, Tensor] | None:
        """Resume from the file, if it is of the same run; returns the best weights so far."""
        stored: StoredRun | None = self.group.broadcast(self.file.read() if self.file is not None else None)
        if stored is None:
            return None
        state = stored.restore(self.model, self.optimizer, rng, self.draws)
        self.counters, self.history = state.counters, state.history
        self.started_s -= state.counters.elapsed_s
        return state.best

    def _validated(self, best: dict[str, Tensor]) -> dict[str, Tensor]:
        """Validate after an epoch; returns the best weights so far: without held-out events the newest."""
        if not len(self.data.split.validation):
            self.counters.gained_at = self.counters.epoch
            return copy.deepcopy(self.model.state_dict())
        metric, before = validation_ndcg(self.model, self.data, group=self.group), max(self.history, default=-1.0)
        self.history.append(metric)
        if metric > before * (1 + self.plan.least_gain):
            self.counters.gained_at = self.counters.epoch
        return copy.deepcopy(self.model.state_dict()) if metric > before else best

    def _report(self) -> dict[str, Any]:
        """The figures of this run that the checkpoint records."""
        untold = None
        if self.model.now_gap is not None and self.history:
            untold = validation_ndcg(self.model, self.data, with_gap=False, group=self.group)
        return {
            "seed": self.seed,
            "epochs": self.counters.epoch,
            "steps": self.counters.step,
            "seconds": round(self.elapsed_s, 3),
            "precision": "bfloat16" if self.bfloat16 else "float32",
            "validation_ndcg_10": max(self.history, default=None),
            "validation_history": self.history,
            "validation_ndcg_10_untold": untold,
            "training_events": len(self.data.split.train),
            "validation_events": len(self.data.split.validation),
            "trained_items": len(self.data.trained_rows),
        }

    def _epoch(self, rng: np.random.Generator) -> None:
        """One pass over all training events."""
        self.model.train()
        if self.group.size > 1:  # dropout: each process draws its own
            own = np.random.SeedSequence([self.seed, self.counters.epoch, self.group.rank])
            torch.manual_seed(int(own.generate_state(1)[0]))
        cut = self.windows or (lambda rng: cut_windows(self.data.ranges, self.model.config.window, rng))
        sequences = cut(rng)
        todo = list(batches(sequences, max_events=self.plan.batch_events, rng=rng))
        self.steps = self.counters.step + len(todo) * (self.plan.epochs - self.counters.epoch + 1)
        for batch in todo:
            self._read_clock()
            if self.out_of_time:
                break
            loss = self._step(batch)
            epoch, step = self.counters.epoch, self.counters.step
            left_s = self.elapsed_s / max(self.done, 1e-3) * (1 - self.done)
            self.progress(TrainingProgress(epoch, step, self.steps, loss, self.metric, self.elapsed_s, left_s))

    def _step(self, batch: Sequences) -> float:
        """One step of the optimiser: warm-up, then a cosine down to 2% of the learning rate."""
        warm = min(1.0, (self.counters.step + 1) / max(1, self.plan.warmup_steps))
        learning_rate = self.plan.learning_rate * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * self.done)) / 2)
        self.optimizer.forget_gradients()
        with autocast(self.device, enabled=self.bfloat16):
            loss = self.objective(batch)
            if self.penalty is not None:
                loss = loss + self.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        total = self.group.add_gradients(self.optimizer.parameters, loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip_norm)
        self.optimizer.step(learning_rate)
        self.counters.step += 1
        return total
