"""What the gate lets through: challengers spoilt on purpose and honest ones, all along a real stream.

    python -m benchmarks.gate_trial --events log.tsv.gz --columns user,item,time --items items.tsv.gz

At each of many moments of the stream the champion of that moment meets one honest fine-tune and challengers spoilt
plainly or a little, judged by the product's own gate on the events that follow; an undecided one sees its slice double,
twice at most. The honest one becomes the champion, whatever the gate says, so that the stream goes on. What a
challenger was really worth is measured on the events after all that the gate has seen.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.learning.challengers import ChallengeMoment, plainly_spoilt, subtly_spoilt
from benchmarks.report import publish
from core.arrays import IntArray
from core.catalogue.items import Catalogue
from core.evaluation.metrics import ndcg
from core.events.history import WindowShape
from core.learn.gate import GateRules, judge
from core.learn.trial import TrialResult, TrialSlice, select_slice, try_model
from core.ports.encoder import ModelBundle
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.evaluation.dataset import Dataset
from model.network.config import Modality, ModelConfig
from model.training.plan import TrainingPlan
from model.training.threads import limit_threads
from model.training.train import train
from tidewise.evaluation.files import EvaluationFiles
from tidewise.files import event_columns, item_columns

OUTCOMES = ("promote", "refuse", "undecided")
SHAPE = WindowShape(30, 6)
LOOKS = 3
RULES = GateRules()


@dataclass(frozen=True)
class ListedLog:
    """A log whose items are all listed. `hide_seen`: a user's earlier items are no answers."""

    columns: EventColumns
    catalogue: Catalogue
    times_ms: IntArray  # of all events in time order
    hide_seen: bool

    def before(self, time_ms: int) -> EventColumns:
        """The events before a time."""
        return self.columns.where(self.columns.times_ms < time_ms)

    def slice_from(self, since: int, num: int) -> TrialSlice:
        """The `num` events in time order from one on, as a slice for a trial."""
        columns = self.before(int(self.times_ms[min(since + num, len(self.times_ms) - 1)]))
        since_ms = int(self.times_ms[since])
        return select_slice(columns, self.catalogue, since_ms=since_ms, max_events=2 * num, hide_seen=self.hide_seen)


@dataclass(frozen=True)
class ChallengeResult:
    """One challenger before the gate. `later`: its gain over the champion afterwards, as a share of its NDCG@10."""

    outcome: str
    later: float


class GateTrial:
    """The gate at one moment, and what comes after all that it sees; what all challengers share is made once."""

    def __init__(self, shop: ListedLog, champion: HM4SRBundle, start: int, options: argparse.Namespace) -> None:
        self.start, self.num, self.step = start, options.slice, options.step
        self.slice_from = cache(shop.slice_from)
        self.of_champion = cache(lambda *spot: self.trial(champion, *spot))

    def trial(self, bundle: ModelBundle, since: int, num: int) -> TrialResult:
        """How a model does on some events."""
        return try_model(bundle, self.slice_from(since, num), SHAPE)

    def meet(self, challenger: ModelBundle) -> ChallengeResult:
        """The verdict, with the slice doubled while it is undecided, and the truth."""
        for look in range(LOOKS):
            slice_range = self.start, self.num * 2**look
            challenger_trial, champion_trial = self.trial(challenger, *slice_range), self.of_champion(*slice_range)
            outcome = judge(self.slice_from(*slice_range).users, challenger_trial, champion_trial, rules=RULES).outcome
            if outcome != "undecided":
                break
        later = self.start + self.num * 2 ** (LOOKS - 1), self.step
        gained, baseline = (
            ndcg(trial.ranks, 10).mean() for trial in (self.trial(challenger, *later), self.of_champion(*later))
        )
        return ChallengeResult(outcome, float(gained / baseline - 1))


def verdict_counts(meetings: Sequence[ChallengeResult]) -> dict[str, object]:
    """The verdicts on challengers of one kind, what they were worth afterwards, and the worst that was let through."""
    counts: dict[str, object] = {outcome: sum(m.outcome == outcome for m in meetings) for outcome in OUTCOMES}
    if meetings and np.isfinite([m.later for m in meetings]).all():
        counts["later"] = f"{np.mean([m.later for m in meetings]):+.1%}"
    promoted = [m.later for m in meetings if m.outcome == "promote"]
    if promoted:
        counts["worst_promoted"] = f"{min(promoted):+.1%}"
    return counts


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
    parser.add_argument("--ties", choices=("source", "hash"), default="source", help="order of events of one time")
    options = parser.parse_args()
    limit_threads(1)
    started_s = time.monotonic()
    shop = _shop(options)
    begin = len(shop.times_ms) - (options.moments + 1) * options.step - LOOKS * 4 * options.slice
    since_ms = int(shop.times_ms[begin])
    contents = (Modality("text", 64),) if options.items else ()
    config = ModelConfig(width=32, num_layers=1, num_heads=2, inner_width=64, window=SHAPE, contents=contents)
    champion = train(shop.before(since_ms), shop.catalogue, config=config, plan=TrainingPlan(epochs=4))
    meetings: dict[str, list[ChallengeResult]] = {}
    for number in range(1, options.moments + 1):
        first_event = begin + number * options.step
        until_ms = int(shop.times_ms[first_event])
        moment = ChallengeMoment(champion, shop.before(until_ms), shop.catalogue, since_ms, number)
        honest, judged = moment.tuned(moment.columns), GateTrial(shop, champion, first_event, options)
        for name, bundle in chain([("honest", honest)], plainly_spoilt(moment), subtly_spoilt(moment)):
            meetings.setdefault(name, []).append(judged.meet(bundle))
        champion, since_ms = honest, until_ms
    figures: dict[str, object] = {name: verdict_counts(met) for name, met in meetings.items()}
    figures["honest and really better on later events"] = verdict_counts(
        [meeting for meeting in meetings["honest"] if meeting.later > 0]
    )
    figures["honest and no better"] = verdict_counts([meeting for meeting in meetings["honest"] if meeting.later <= 0])
    publish("verdicts of the gate", {**figures, "seconds": round(time.monotonic() - started_s)})


def _shop(options: argparse.Namespace) -> ListedLog:
    files = EvaluationFiles([options.events], event_columns(options.columns), None, options.items)
    files.item_columns = item_columns(options.item_columns, attributes="", separator="|")
    dataset: Dataset = files.dataset(ties=options.ties)
    listed = replace(dataset.catalogue, listed=np.ones(dataset.num_items, np.bool_))
    return ListedLog(dataset.columns, listed, np.sort(dataset.columns.times_ms), options.hide_seen)


if __name__ == "__main__":
    main()
