"""The tables that replay a log: arms that learn on in different ways, what they gain and what they cost.

Each is two calls of `tidewise evaluate prequential` over one cache of trained models: all arms but the full retraining
with several seeds, then the retraining with one, because it costs as much as everything else together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables.datasets import ML_1M, RETAIL, YELP, TableData

COUNTING = ("popularity", "co-occurrence", "vsknn")
LEARNT = ("frozen-frozen", "frozen", "fine-tune", "fine-tune+replay")
FULL = "retrain"
RunCommand = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class ReplayTable:
    """One log, its second half replayed. `epochs`: the most of a full training.

    Where seen items are hidden, networks are trained for that, as the product trains them.
    """

    about: str
    data: TableData
    epochs: int
    seen: str = "keep"
    ties: str = "source"
    seeds: int = 3
    periods: int = 4
    max_test_events: int = 4_000
    width: int = 32
    window: int = 30

    def commands(self, data: Path, out: Path, threads: int) -> list[list[str]]:
        """The words after `tidewise` of both calls."""
        both = ["evaluate", "prequential", *self.data.options(data), "--time-unit", "s", "--cut", "0.5"]
        both += ["--seen", self.seen, "--ties", self.ties, "--periods", str(self.periods)]
        both += ["--max-test-events", str(self.max_test_events)]
        both += ["--epochs", str(self.epochs), "--threads", str(threads)]
        both += ["--width", str(self.width), "--window", str(self.window), "--cache", str(out / "cache"), "--json"]
        both += ["--hides-seen"] if self.seen == "hide" else []
        chart = ["--chart", str(out / f"replay-{self.data.folder}.svg")]
        several = [*_models(*COUNTING, *LEARNT), "--against", "frozen", "--seeds", str(self.seeds), *chart]
        full = [*_models("fine-tune+replay", "frozen"), "--against", FULL, "--seeds", "1"]
        return [[*both, *several], [*both, *full]]

    def make(self, run: RunCommand, data: Path, out: Path, threads: int) -> tuple[dict[str, Any], str]:
        """Both reports, and the table."""
        several, full = (json.loads(run(words)) for words in self.commands(data, out, threads))
        return {"several_seeds": several, "full_retraining": full}, markdown(several, full)


def _models(*names: str) -> list[str]:
    return [word for name in names for word in ("--model", name)]


REPLAYS: Mapping[str, ReplayTable] = {
    "prequential-online-retail": ReplayTable("learning on, a shop", RETAIL, epochs=10),
    "prequential-yelp2019": ReplayTable("learning on, local businesses", YELP, epochs=8, seen="hide"),
    "prequential-ml-1m": ReplayTable("learning on, films", ML_1M, epochs=6, seen="hide", ties="hash"),
}


def markdown(several: Mapping[str, Any], full: Mapping[str, Any]) -> str:
    """The figures that people compare: arms with several seeds, then the full retraining beside the same seed."""
    arms, periods = several["arms"], ", ".join(several["periods"])
    lines = [
        f"{several['test_events']:,} test events of {several['users']:,} users, {several['items']:,} items, "
        f"{several['events']:,} events; periods from {periods}.",
        "",
        "| Arm | seeds | NDCG@10 | HR@10 | against frozen, 95% | by period | later trainings, CPU s |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, arm, arms["frozen"]) for name, arm in arms.items()),
        "",
        "| One seed | NDCG@10 | against retrain, 95% | share of retrain | later trainings, CPU s | share |",
        "|---|---|---|---|---|---|",
        *(_full_row(name, arm, full["arms"][FULL]) for name, arm in full["arms"].items() if name != "popularity"),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, arm: Mapping[str, Any], frozen: Mapping[str, Any]) -> str:
    by_period = " ".join(f"{value:.4f}" for value in arm["by_period"])
    gain = "" if arm is frozen else f"{_interval(arm)}, {arm['ndcg_10'] / frozen['ndcg_10'] - 1:+.1%}"
    cost = f"{arm['later_trainings_cpu_s']:.0f}"
    cells = [name, str(arm["seeds"]), f"{arm['ndcg_10']:.4f}", f"{arm['hr_10']:.4f}", gain, by_period, cost]
    return f"| {' | '.join(cells)} |"


def _full_row(name: str, arm: Mapping[str, Any], full: Mapping[str, Any]) -> str:
    cost, of_full = arm["later_trainings_cpu_s"], full["later_trainings_cpu_s"]
    shares = f"{arm['ndcg_10'] / full['ndcg_10']:.1%}", f"{cost / of_full:.1%}" if of_full else ""
    gain = "" if arm is full else _interval(arm)
    return f"| {name} | {arm['ndcg_10']:.4f} | {gain} | {shares[0]} | {cost:.0f} | {shares[1]} |"


def _interval(arm: Mapping[str, Any]) -> str:
    mean, low, high = arm["difference"]
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
