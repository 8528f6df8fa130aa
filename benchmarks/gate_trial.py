"""What the gate lets through: challengers spoilt on purpose and honest ones, all along a real stream.

    python -m benchmarks.gate_trial --events log.tsv.gz --columns user,item,time --items items.tsv.gz

At each of many moments of the stream the champion of that moment meets one honest fine-tune and five spoilt ones,
judged by the product's own gate on the events that follow; an undecided one sees its slice double, twice at most. The
honest one becomes the champion, whatever the gate says, so that the stream goes on. Whether an honest challenger was
really better is measured on the events after all that the gate has seen.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import publish
from core.clock import DAY_MS
from core.history import History, IntArray, WindowShape
from core.items import Catalogue
from core.learn.gate import GateRules, judge
from core.learn.trial import Trial, slice_of, try_model
from core.metrics import ndcg
from core.ports import EventColumns, FloatArray, ModelBundle
from model.bundle import HM4SRBundle
from model.config import Modality, ModelConfig
from model.evaluation.dataset import Dataset
from model.fine_tuning import FineTuningPlan, fine_tune
from model.threads import limit_threads
from model.training import train
from model.training_plan import TrainingPlan
from tidewise.evaluation import EvaluationFiles
from tidewise.files import event_columns, item_columns

SHAPE = WindowShape(30, 6)
LOOKS = 3
RULES = GateRules()


@dataclass(frozen=True)
class Shop:
    """A log whose items are all listed. `hide_seen`: a user's earlier items are no answers."""

    columns: EventColumns
    catalogue: Catalogue
    times_ms: IntArray  # of all events in time order
    hide_seen: bool

    def before(self, time_ms: int) -> EventColumns:
        """The events before a time."""
        return self.columns.where(self.columns.times_ms < time_ms)

    def trial(self, bundle: ModelBundle, since: int, num: int) -> tuple[IntArray, Trial]:
        """Users and ranks of a model on the `num` events from a place in time order on."""
        columns = self.before(int(self.times_ms[min(since + num, len(self.times_ms) - 1)]))
        given = {"since_ms": int(self.times_ms[since]), "max_events": 2 * num, "hide_seen": self.hide_seen}
        asked = slice_of(columns, self.catalogue, **given)  # type: ignore[arg-type]
        return asked.users, try_model(bundle, asked, SHAPE)


class Collapsed:
    """A model that answers everybody with what is popular."""

    version, window, width = "collapsed", SHAPE, 2

    def __init__(self, counts: IntArray) -> None:
        self._counts = counts.astype(np.float32)

    def bind(self, catalogue: Catalogue) -> Collapsed:
        """The same for any catalogue."""
        return self

    def items(self, rows: IntArray) -> FloatArray:
        """Counts, and nothing."""
        found: FloatArray = np.stack([self._counts[rows], np.zeros(len(rows), np.float32)], axis=1)
        return found

    def encode(self, histories: Sequence[History]) -> FloatArray:
        """The same for any history."""
        return np.repeat(np.array([[1.0, 0.0]], np.float32), len(histories), axis=0)

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        """At any time."""
        return vectors


def spoilt(shop: Shop, champion: HM4SRBundle, since_ms: int, until_ms: int, seed: int) -> dict[str, ModelBundle]:
    """One challenger of each kind."""
    columns, rng = shop.before(until_ms), np.random.default_rng(seed)
    shuffled = EventColumns(columns.users, rng.permutation(columns.items), columns.times_ms)
    hard = FineTuningPlan(epochs=3, learning_rate=3e-3, replay=0.0)
    one_day_ms = int(columns.times_ms.max()) - DAY_MS
    broken = copy.deepcopy(champion.model)
    with torch.no_grad():
        broken.position_embedding[0, 0] = float("nan")
    ids = list(champion.item_ids)
    return {
        "shuffled labels": fine_tune(champion, shuffled, shop.catalogue, since_ms=since_ms, plan=hard, seed=seed),
        "over-trained on one day": fine_tune(
            champion, columns, shop.catalogue, since_ms=one_day_ms, plan=replace(hard, epochs=25, learning_rate=5e-3)
        ),
        "not a number": replace(champion, model=broken),
        "of another shop": replace(champion, item_ids=tuple(ids[place] for place in rng.permutation(len(ids)))),
        "popularity collapse": Collapsed(np.bincount(columns.items, minlength=len(shop.catalogue))),
    }


def verdict(shop: Shop, challenger: ModelBundle, champion: HM4SRBundle, since: int, num: int) -> str:
    """The gate's, with the slice doubled while it is undecided."""
    for look in range(LOOKS):
        users, own = shop.trial(challenger, since, num * 2**look)
        outcome = judge(users, own, shop.trial(champion, since, num * 2**look)[1], rules=RULES).outcome
        if outcome != "undecided":
            break
    return outcome


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--columns", default="user_id,item_id,timestamp")
    parser.add_argument("--items", type=Path)
    parser.add_argument("--item-columns", default="item_id=item_id,title=title")
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--step", type=int, default=5_000, help="events between two moments")
    parser.add_argument("--slice", type=int, default=1_000, help="events of the gate's first look")
    parser.add_argument("--hide-seen", action="store_true")
    options = parser.parse_args()
    limit_threads(1)
    started_s = time.monotonic()
    shop = _shop(options)
    begin = len(shop.times_ms) - (options.moments + 1) * options.step - LOOKS * 4 * options.slice
    since_ms = int(shop.times_ms[begin])
    contents = (Modality("text", 64),) if options.items else ()
    config = ModelConfig(width=32, num_layers=1, num_heads=2, inner_width=64, window=SHAPE, contents=contents)
    champion = train(shop.before(since_ms), shop.catalogue, config=config, plan=TrainingPlan(epochs=4))
    counts: dict[str, Counter[str]] = {}
    honest: list[tuple[str, float]] = []
    for moment in range(1, options.moments + 1):
        place = begin + moment * options.step
        until_ms = int(shop.times_ms[place])
        challenger = fine_tune(champion, shop.before(until_ms), shop.catalogue, since_ms=since_ms, seed=moment)
        for name, bundle in spoilt(shop, champion, since_ms, until_ms, moment).items():
            outcome = verdict(shop, bundle, champion, place, options.slice)
            counts.setdefault(name, Counter())[outcome] += 1
        outcome = verdict(shop, challenger, champion, place, options.slice)
        counts.setdefault("honest", Counter())[outcome] += 1
        later, num = place + options.slice * 2 ** (LOOKS - 1), options.step
        gain = ndcg(shop.trial(challenger, later, num)[1].ranks, 10).mean()
        honest.append((outcome, float(gain - ndcg(shop.trial(champion, later, num)[1].ranks, 10).mean())))
        champion, since_ms = challenger, until_ms
    better = [outcome for outcome, gain in honest if gain > 0]
    figures: dict[str, object] = {name: dict(found) for name, found in counts.items()}
    figures["honest and really better on later events"] = dict(Counter(better))
    figures["honest and no better"] = dict(Counter(outcome for outcome, gain in honest if gain <= 0))
    figures["mean gain of honest ones (NDCG@10)"] = round(float(np.mean([gain for _, gain in honest])), 5)
    publish("verdicts of the gate", {**figures, "seconds": round(time.monotonic() - started_s)})


def _shop(options: argparse.Namespace) -> Shop:
    files = EvaluationFiles(options.events, event_columns(options.columns), None, options.items)
    files.item_columns = item_columns(options.item_columns, attributes="", separator="|")
    dataset: Dataset = files.dataset(ties="source")
    listed = replace(dataset.catalogue, listed=np.ones(dataset.num_items, np.bool_))
    return Shop(dataset.columns, listed, np.sort(dataset.columns.times_ms), options.hide_seen)


if __name__ == "__main__":
    main()
