"""The tables that compare models: a call of `tidewise evaluate` each, and how its report becomes a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.tables.datasets import ML_1M, RETAIL, TOYS, YELP, TableData
from benchmarks.tables.replays import RunCommand

NETWORKS = ("sasrec", "sasrec-text", "gru4rec", "gru4rec-text", "hm4sr:paper", "hm4sr")
ADDITIONS = ("sasrec-text", "sasrec-text-repeats", "hm4sr:paper", "hm4sr")
COUNTING = ("popularity", "co-occurrence", "item-knn", "vsknn")
PEERS = (
    *("ease", "implicit:als", "implicit:bpr"),
    *("rectools:sasrec", "rectools:sasrec-sampled", "rectools:ligr", "rectools:bert4rec"),
)
PARTS = (
    *("no-interactive", "no-temporal", "no-moe", "no-gaps", "shuffled-gaps", "no-absolute-time"),
    *("no-idcl", "no-cp", "no-pcl", "no-aux", "no-id", "no-text"),
)
RELEASED = ("hm4sr:paper", "hm4sr:paper+frozen-experts", "hm4sr:released", "hm4sr:released+unit-losses")


@dataclass(frozen=True)
class ComparisonTable:
    """One comparison. `epochs`, `max_minutes`: of each training, the first to end it; `with_pictures`: a modality.

    `hides_seen`: networks are trained for answers without what the user has had.
    """

    about: str
    data: TableData
    protocol: str
    models: tuple[str, ...]
    against: str
    seeds: int = 1
    ties: str = "source"
    window: int = 50
    epochs: int = 30
    max_minutes: float = 10.0
    max_test_events: int | None = None
    trials: int = 1
    with_pictures: bool = False
    hides_seen: bool = False

    def command(self, data: Path, out: Path, threads: int) -> list[str]:
        """The words after `tidewise`."""
        words = ["evaluate", self.protocol, *self.data.options(data), "--ties", self.ties, "--window", str(self.window)]
        words += [word for model in self.models for word in ("--model", model)]
        words += ["--against", self.against, "--seeds", str(self.seeds), "--trials", str(self.trials)]
        words += ["--epochs", str(self.epochs), "--max-minutes", f"{self.max_minutes:g}", "--threads", str(threads)]
        if self.max_test_events is not None:
            words += ["--max-test-events", str(self.max_test_events)]
        if self.hides_seen:
            words += ["--hides-seen", "--seen", "hide"]
        if self.with_pictures:
            words += ["--features", str(features_of(self.data, out) / "features" / "image")]
        return [*words, "--cache", str(out / "cache"), "--json"]

    def commands(self, data: Path, out: Path, threads: int) -> list[list[str]]:
        """All of them, as other kinds of tables have more."""
        return [self.command(data, out, threads)]

    def make(self, run: RunCommand, data: Path, out: Path, threads: int) -> tuple[dict[str, Any], str]:
        """The report, and the table."""
        if self.with_pictures:
            assert self.data.pictures is not None
            pictures = data / self.data.folder / self.data.pictures
            run(["features", "--data", str(features_of(self.data, out)), "--pictures", str(pictures), "--json"])
        report = json.loads(run(self.command(data, out, threads)))
        return report, markdown(report, seen="hide" if self.hides_seen else "keep")


def _ablations(*more: str) -> tuple[str, ...]:
    return ("hm4sr:paper", *(f"hm4sr:paper+{name}" for name in (*PARTS, *more)))


LEAVE_ONE_OUT = ComparisonTable(
    "every model, the protocol of published tables",
    TOYS,
    "leave-one-out",
    (*COUNTING, *NETWORKS),
    "sasrec-text",
    seeds=3,
)
TEMPORAL = replace(
    LEAVE_ONE_OUT,
    about="every model, trained strictly before and tested after: the table that counts",
    protocol="temporal",
    models=(*LEAVE_ONE_OUT.models, "river-mf"),
    max_test_events=20_000,
)
POSTERS = replace(
    LEAVE_ONE_OUT,
    about="each part of the model taken away; id, text and posters",
    data=ML_1M,
    models=_ablations("no-image"),
    against="hm4sr:paper",
    seeds=1,
    epochs=15,
    max_minutes=20.0,
    with_pictures=True,
)

BESIDE_PEERS = replace(
    TEMPORAL,
    about="beside RecTools and implicit (`make peers`), seen items excluded",
    models=(*COUNTING, *PEERS, "sasrec", "sasrec-text", "hm4sr"),
    ties="hash",
    hides_seen=True,
    epochs=100,
    max_minutes=60.0,
)

BLENDED = replace(
    TEMPORAL,
    about="the product: its network blended with live transition counts, beside each alone",
    models=(*COUNTING, "counts", "sasrec-text", "hm4sr", "product:encoder", "blend", "product"),
    against="product",
    ties="hash",
    hides_seen=True,
    max_minutes=30.0,
)

COMPARISONS: Mapping[str, ComparisonTable] = {
    "toys-leave-one-out": LEAVE_ONE_OUT,
    "toys-temporal": TEMPORAL,
    "toys-ties": replace(
        LEAVE_ONE_OUT,
        about="the same with ties in a random order: what the order of the source was worth",
        ties="hash",
        models=("co-occurrence", "sasrec", "sasrec-text", "hm4sr"),
    ),
    "toys-additions": replace(
        LEAVE_ONE_OUT,
        about="what we have added to the network, the protocol of published tables",
        models=ADDITIONS,
    ),
    "toys-temporal-additions": replace(
        TEMPORAL, about="what we have added to the network, tested after the cut", models=ADDITIONS
    ),
    "toys-ablations": replace(
        LEAVE_ONE_OUT,
        about="each part of the model taken away, the protocol of published tables",
        models=_ablations(),
        against="hm4sr:paper",
        seeds=1,
    ),
    "toys-temporal-ablations": replace(
        TEMPORAL,
        about="each part of the model taken away, tested after the cut",
        models=_ablations(),
        against="hm4sr:paper",
        seeds=1,
    ),
    "toys-released": replace(
        LEAVE_ONE_OUT,
        about="what the faults of the released code cost",
        models=RELEASED,
        against="hm4sr:paper",
        seeds=1,
    ),
    "toys-now-gap": replace(
        TEMPORAL,
        about="the gap to now; times are days here",
        models=("hm4sr", "hm4sr:now-gap"),
        against="hm4sr",
        seeds=1,
    ),
    "toys-hides-seen": replace(
        TEMPORAL,
        about="trained for answers without seen items, as the product serves by default",
        models=("co-occurrence", "sasrec-text", "hm4sr:paper", "hm4sr"),
        hides_seen=True,
    ),
    "toys-peers": BESIDE_PEERS,
    "yelp-peers": replace(BESIDE_PEERS, data=YELP),
    "online-retail-peers": replace(
        BESIDE_PEERS, about="beside RecTools and implicit, seen items kept", data=RETAIL, hides_seen=False
    ),
    "ml-1m-peers": replace(
        BESIDE_PEERS,
        about="beside RecTools, a long window, the protocol of published tables, seen items excluded",
        data=ML_1M,
        protocol="leave-one-out",
        models=("popularity", "co-occurrence", "ease", "rectools:sasrec", "rectools:ligr", "sasrec", "hm4sr"),
        against="rectools:sasrec",
        window=200,
        trials=2,
        max_minutes=120.0,
    ),
    "toys-blend": BLENDED,
    "yelp-blend": replace(BLENDED, data=YELP),
    "online-retail-blend": replace(BLENDED, data=RETAIL, hides_seen=False),
    "ml-1m-blend": replace(BLENDED, data=ML_1M),
    "ml-1m-ablations": POSTERS,
    "ml-1m-released": replace(POSTERS, about="what the faults of the released code cost", models=RELEASED),
    "ml-1m-200": replace(
        POSTERS,
        about="a long window",
        models=("popularity", "co-occurrence", "sasrec", "sasrec-text", "hm4sr"),
        against="sasrec-text",
        window=200,
        max_minutes=60.0,
        with_pictures=False,
    ),
    "ml-1m-temporal": replace(
        POSTERS,
        about="trained strictly before and tested after; id and text",
        protocol="temporal",
        models=(*COUNTING, "sasrec", "sasrec-text", "hm4sr"),
        against="sasrec-text",
        max_test_events=20_000,
        with_pictures=False,
    ),
    "ml-1m-now-gap": replace(
        POSTERS,
        about="the gap to now; times are seconds here",
        protocol="temporal",
        models=("hm4sr", "hm4sr:now-gap"),
        against="hm4sr",
        max_test_events=20_000,
        with_pictures=False,
    ),
}


def features_of(data: TableData, out: Path) -> Path:
    """The data folder in which `tidewise features` keeps the vectors of a data set."""
    return out / data.folder


def markdown(report: Mapping[str, Any], *, seen: str) -> str:
    """The figures that people compare; `seen`: whether earlier items are kept ("keep") or hidden ("hide")."""
    data, rules = report["data"], report["rules"]
    difference, other = f"NDCG@10 - {report['against']}", {"keep": "hidden", "hide": "kept"}[seen]
    lines = [
        f"{rules['protocol']}, ties by {rules['ties']}: {data['test_events']:,} test events of "
        f"{data['test_users']:,} users, {data['items']:,} items; {data['learnt_events']:,} training events.",
        "",
        f"| | HR@10 | NDCG@10 (95%) | MRR@10 | coverage@10 | {difference} | NDCG@10 {other} | epochs | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(model, seen) for model in report["models"]),
    ]
    gap_rows = [_gap_row(model) for model in report["models"] if model["now_gap"]]
    if gap_rows:
        lines += [
            "",
            "| NDCG@10 | without gap | drawn before the answer | at the click |",
            "|---|---|---|---|",
            *gap_rows,
        ]
    return "\n".join(lines) + "\n"


def _row(model: Mapping[str, Any], seen: str) -> str:
    shown, other = model["seen"][seen], model["seen"]["keep" if seen == "hide" else "hide"]
    metrics, difference = shown["metrics"], shown["difference"].get("NDCG@10")
    ndcg = metrics["NDCG@10"]
    runs = list(model["seeds"].values())
    cells = [
        model["model"],
        f"{metrics['HR@10']['mean']:.4f}",
        f"{ndcg['mean']:.4f} ({ndcg['low']:.4f} to {ndcg['high']:.4f})",
        f"{metrics['MRR@10']['mean']:.4f}",
        f"{shown['coverage']['@10']:.3f}",
        _change(difference) if difference else "",
        f"{other['metrics']['NDCG@10']['mean']:.4f}",
        ", ".join(str(run["epochs"]) for run in runs if "epochs" in run),
        ", ".join(f"{run['fit_s']:.0f}" for run in runs),
    ]
    return f"| {' | '.join(cells)} |"


def _gap_row(model: Mapping[str, Any]) -> str:
    untold = model["seen"]["keep"]["metrics"]["NDCG@10"]["mean"]
    with_gap = [model["now_gap"][way]["keep"]["NDCG@10"] for way in ("drawn", "click")]
    cells = [f"{each['mean']:.4f}, {_change(each['change'])}" for each in with_gap]
    return f"| {model['model']} | {untold:.4f} | {' | '.join(cells)} |"


def _change(interval: Mapping[str, float | None]) -> str:
    relative = interval.get("relative")
    share = "" if relative is None else f", {relative:+.1%}"
    return f"{interval['mean']:+.4f} ({interval['low']:+.4f} to {interval['high']:+.4f}){share}"
