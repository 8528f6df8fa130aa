"""How long training takes, beside the procedure of the authors' released code: one padded sample per prefix.

    python -m benchmarks.released_training --events F --items F --item-columns item_id=item_id,title=title,categories=C

Both train the same network (paper's size, id + text, leave-one-out) on the same data in the same run, on one core:

1. *Released procedure*, written plainly: every prefix of a history is a sample, padded to the window, 1,024 in a batch;
   all positions are computed and the last one is used. It is timed per step; its steps per epoch follow from the data.
2. *How many epochs it needs* is measured on the fast path with the same objective: next-item cross-entropy at all
   positions is the sum over all prefixes, so 1,024 targets per step, its learning rate and its auxiliary losses go
   through `TrainingRun`. Its best validation NDCG@10 is the target. (Windows cut long histories, prefixes overlap.)
3. *Ours*, as `tidewise evaluate` trains `hm4sr`, until its validation NDCG@10 reaches that target: wall time.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.report import publish
from core.events.history import WindowShape
from model.evaluation.models import LOSSES, Budget
from model.evaluation.networks import Contents
from model.evaluation.protocols import leave_one_out
from model.network.hm4sr import HM4SR
from model.training.data import Split, TrainingData, frequent_categories, training_data
from model.training.losses import category_prediction, id_contrast, placeholder_contrast
from model.training.sequences import UserRanges
from model.training.threads import limit_threads
from model.training.train import TrainingProgress, train_network
from tidewise.evaluation.files import TEXT_FEATURES, EvaluationFiles
from tidewise.files import event_columns, item_columns

if TYPE_CHECKING:
    from core.arrays import IntArray

BATCH_SAMPLES = 1024
RELEASED_LEARNING_RATE = 1e-3
MAX_VALIDATION = 2000


class PrefixProcedure:
    """The released code's way to train: one sample per prefix, all of them padded to the window."""

    def __init__(self, model: HM4SR, data: TrainingData) -> None:
        self.model, self.data = model.train(), data
        self.optimizer = torch.optim.Adam(model.parameters(), lr=RELEASED_LEARNING_RATE)
        self.window = model.config.window.size
        self.begins, self.ends = prefixes(data.ranges, self.window)
        self.rng = np.random.default_rng(0)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of all prefixes."""
        return -(-len(self.ends) // BATCH_SAMPLES)

    def step(self) -> float:
        """One batch of random prefixes; the seconds that it took."""
        begin = time.perf_counter()
        samples = self.rng.choice(len(self.ends), BATCH_SAMPLES, replace=False)
        self.optimizer.zero_grad()
        self.loss(self.begins[samples], self.ends[samples]).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return time.perf_counter() - begin

    def loss(self, begins: IntArray, ends: IntArray) -> Tensor:
        """Next item, IDCL, CP and PCL of samples, each from its last position (CP from all)."""
        model, data, train, losses = self.model, self.data, self.data.split.train, self.model.config.losses
        lengths = ends - begins
        positions_BW = begins[:, None] + np.minimum(np.arange(self.window), lengths[:, None] - 1)
        positions, targets = torch.from_numpy(train[positions_BW]), data.items[torch.from_numpy(train[ends])]
        rows_B, last_B = torch.arange(len(ends)), torch.from_numpy(lengths - 1)
        table_NC = model.item_vectors(data.id_rows, dict(data.features))
        events = model.events(table_NC[data.items[positions]], data.times_ms[positions])
        towers_MBWD = model.run(events.vectors)
        last_MBD = towers_MBWD[:, rows_B, last_B]
        loss = F.cross_entropy(last_MBD.transpose(0, 1).flatten(1) @ table_NC.T, targets)
        if losses.idcl:
            ids_BD, temperature = table_NC[targets, : model.config.width], losses.temperature
            idcl = id_contrast(last_MBD[0], ids_BD, targets, temperature=temperature, released=True)
            loss = loss + losses.idcl * idcl
        if model.placeholders:
            replaced_BW = torch.rand(positions.shape) < losses.pcl_share
            replaced_MBD = model.run(model.with_placeholders(events, replaced_BW))[:, rows_B, last_B]
            pairs, temperature = (last_MBD[-len(replaced_MBD) :], replaced_MBD), losses.pcl_temperature
            loss = loss + losses.pcl * placeholder_contrast(*pairs, targets, temperature=temperature, released=True)
        if model.category_head is not None:
            seen = data.items[positions][torch.arange(self.window) < torch.from_numpy(lengths).unsqueeze(1)]
            loss = loss + losses.cp * category_prediction(model.category_head(table_NC[seen]), data.categories[seen])
        return loss


def prefixes(ranges: UserRanges, window: int) -> tuple[IntArray, IntArray]:
    """Where each sample begins among the training events, and the position of its target."""
    first = np.repeat(ranges.first, ranges.count)
    ends = np.flatnonzero(np.arange(len(first)) > first)
    return np.maximum(first[ends], ends - window), ends


@dataclass
class TargetReached(Exception):
    """Ends a training whose metric is good enough."""

    epochs: int
    steps: int
    seconds: float


def main() -> None:
    """Measure and print."""
    options = _options()
    limit_threads(1)
    budget = Budget(width=options.width, window=WindowShape(options.window, max(1, options.window // 5)))
    data, contents = _data(options)
    shape = replace(budget.shape(dropout=0.2), contents=contents.modalities(), losses=LOSSES)
    shape = replace(shape, num_categories=data.categories.shape[1])
    released = replace(shape, released=True, id_dropout=0.0)
    figures: dict[str, object] = {"training events": len(data.split.train), "items": len(data.id_rows)}
    network = HM4SR(released, num_items=len(data.trained_rows)).initialise(seed=0)
    procedure = PrefixProcedure(network, data)
    step_s = median([procedure.step() for _ in range(options.steps + 1)][1:])
    epoch_s = step_s * procedure.steps_per_epoch
    figures |= {"released: seconds per step": round(step_s, 2), "released: steps per epoch": procedure.steps_per_epoch}
    figures["released: hours per epoch"] = round(epoch_s / 3600, 3)
    target, epochs = options.target, options.released_epochs
    if target is None or epochs is None:
        target, epochs = _what_it_reaches(HM4SR(released, num_items=len(data.trained_rows)), data, budget)
    figures |= {"target: validation NDCG@10": round(target, 4), "released: epochs to the target": epochs}
    reached = _time_to(target, HM4SR(shape, num_items=len(data.trained_rows)), data, budget)
    figures |= {"ours: epochs to the target": reached.epochs, "ours: seconds to the target": round(reached.seconds, 1)}
    figures |= {"ours: steps": reached.steps, "ours: seconds per step": round(reached.seconds / reached.steps, 3)}
    figures["ours: events per second"] = round(reached.epochs * len(procedure.ends) / reached.seconds)
    figures["times as fast as one epoch of theirs"] = round(epoch_s / reached.seconds, 1)
    figures["times as fast to the target"] = round(epoch_s * epochs / reached.seconds, 1)
    publish("Training to the same validation NDCG@10, one core", figures)


def _what_it_reaches(model: HM4SR, data: TrainingData, budget: Budget) -> tuple[float, int]:
    """The released objective's best validation NDCG@10 and the epochs that it took, on the fast path."""
    plan = replace(budget.plan(learning_rate=RELEASED_LEARNING_RATE), batch_events=BATCH_SAMPLES)
    report = train_network(model.initialise(seed=0), data, plan=plan, seed=0)
    history = report["validation_history"]
    return max(history), int(np.argmax(history)) + 1


def _time_to(target: float, model: HM4SR, data: TrainingData, budget: Budget) -> TargetReached:
    """Our training until its validation NDCG@10 reaches the target."""
    begin = time.perf_counter()

    def stop(progress: TrainingProgress) -> None:
        if progress.metric is not None and progress.metric >= target:
            raise TargetReached(progress.epoch - 1, progress.step - 1, time.perf_counter() - begin)

    plan = replace(budget.plan(learning_rate=2e-3), patience=budget.epochs)
    try:
        report = train_network(model.initialise(seed=0), data, plan=plan, seed=0, progress=stop)
    except TargetReached as reached:
        return reached
    msg = f"ours: wanted NDCG@10 {target:.4f}, got {report['validation_ndcg_10']:.4f} in {budget.epochs} epochs"
    raise SystemExit(msg)


def _data(options: argparse.Namespace) -> tuple[TrainingData, Contents]:
    """The file divided as by `tidewise evaluate leave-one-out`."""
    columns = item_columns(options.item_columns, attributes="", separator=options.separator)
    files = EvaluationFiles([options.events], event_columns(options.columns), None, options.items, columns)
    dataset = files.dataset(ties="source")
    part, contents = leave_one_out(dataset).part, Contents.of(dataset.catalogue, text_size=TEXT_FEATURES)
    validation = np.sort(np.random.default_rng(0).permutation(part.validation)[:MAX_VALIDATION])
    data = training_data(
        part.columns,
        dataset.catalogue,
        Split(part.train, validation),
        sources=contents.sources,
        category_names=frequent_categories(dataset.catalogue),
        device=torch.device("cpu"),
    )
    return data, contents


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--columns", default="user_id,item_id,timestamp")
    parser.add_argument("--item-columns", default="item_id=item_id,title=title")
    parser.add_argument("--separator", default=" ")
    for name, default in (("window", 50), ("width", 64), ("steps", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--target", type=float, help="validation NDCG@10, where part 2 was run before")
    parser.add_argument("--released-epochs", type=int, help="how many epochs it took the released objective")
    return parser.parse_args()


if __name__ == "__main__":
    main()
