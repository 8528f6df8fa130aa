"""The tables of growing shops: the first events of a log, more and more of them; what serves best with how many?

A call of `tidewise evaluate` for each number of events, over files of the first ones in time order.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables.comparisons import ComparisonTable
from benchmarks.tables.datasets import ML_1M, RETAIL, TOYS, YELP, TableData
from benchmarks.tables.replays import RunCommand
from tidewise.evaluation.charts import write_line_chart

MODELS = ("popularity", "co-occurrence", "counts", "product:encoder", "product")
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)


@dataclass(frozen=True)
class CurveTable(ComparisonTable):
    """One log; the comparison is made for each of `sizes`, numbers of events."""

    sizes: tuple[int, ...] = SIZES

    def commands(self, data: Path, out: Path, threads: int) -> list[list[str]]:
        """A call for each number of events."""
        commands = []
        for size in self.sizes:
            words = self.command(data, out, threads)
            words[words.index("--events") + 1] = str(self._first_events(out, size))
            commands.append(words)
        return commands

    def make(self, run: RunCommand, data: Path, out: Path, threads: int) -> tuple[dict[str, Any], str]:
        """The reports by number of events, the table; the chart is written beside them."""
        self._write_first_events(data, out)
        reports = [json.loads(run(words)) for words in self.commands(data, out, threads)]
        by_size = {str(size): report for size, report in zip(self.sizes, reports, strict=True)}
        seen = "hide" if self.hides_seen else "keep"
        figures = {size: _figures(report, seen) for size, report in by_size.items()}
        lines = {name: [figures[size][name]["mean"] for size in figures] for name in self.models}
        title = f"{self.data.folder}: NDCG@10 by number of events"
        write_line_chart(out / f"events-{self.data.folder}.svg", title, lines, [f"{size:,}" for size in self.sizes])
        return by_size, self._markdown(by_size, figures)

    def _first_events(self, out: Path, size: int) -> Path:
        return out / "first-events" / f"{self.data.folder}-{size}.tsv"

    def _write_first_events(self, data: Path, out: Path) -> None:
        options = dict(zip(*[iter(self.data.options(data))] * 2, strict=True))
        with gzip.open(options["--events"], "rt") as source:
            header, *rows = source.read().splitlines()
        time = header.split("\t").index(options["--columns"].split(",")[2])
        rows.sort(key=lambda row: float(row.split("\t")[time]))
        for size in self.sizes:
            path = self._first_events(out, size)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join([header, *rows[:size]]) + "\n")

    def _markdown(self, reports: Mapping[str, Any], figures: Mapping[str, Mapping[str, Any]]) -> str:
        columns = (
            f"| {self.data.folder} | test events, users | {' | '.join(self.models)} | product - best other (95%) |"
        )
        lines = [columns, "|---" * (len(self.models) + 3) + "|"]
        for size, models in figures.items():
            data = reports[size]["data"]
            best = max((name for name in self.models if name != self.against), key=lambda name: models[name]["mean"])
            low, mean, high = (-models[best]["difference"][end] for end in ("high", "mean", "low"))
            cells = [f"{int(size):,}", f"{data['test_events']:,}, {data['test_users']:,}"]
            cells += [f"{models[name]['mean']:.4f}" for name in self.models]
            cells += [f"{mean:+.4f} ({low:+.4f} to {high:+.4f}), {best}"]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def _figures(report: Mapping[str, Any], seen: str) -> dict[str, Any]:
    """By model: its mean NDCG@10, and its difference to the one that all are compared with."""
    return {
        model["model"]: {
            "mean": model["seen"][seen]["metrics"]["NDCG@10"]["mean"],
            "difference": model["seen"][seen]["difference"].get("NDCG@10"),
        }
        for model in report["models"]
    }


def _curve(data: TableData, *, hides_seen: bool = True) -> CurveTable:
    return CurveTable(
        "the first 1,000 to 100,000 events: the product beside its parts",
        data,
        "temporal",
        MODELS,
        "product",
        ties="hash",
        max_test_events=2_000,
        epochs=20,
        hides_seen=hides_seen,
    )


CURVES: Mapping[str, CurveTable] = {
    "toys-by-events": _curve(TOYS),
    "yelp-by-events": _curve(YELP),
    "online-retail-by-events": _curve(RETAIL, hides_seen=False),
    "ml-1m-by-events": _curve(ML_1M),
}
