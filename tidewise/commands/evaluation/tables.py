"""The report of an evaluation as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from tidewise.commands.options import PrintableConsole, screen

Figures = Mapping[str, Any]
MIN_WIDTH = 120  # so that no figure is truncated in a file


def print_report(report: Figures, *, seen: str) -> None:
    """The figures with seen items kept or hidden."""
    data, rules = report["data"], report["rules"]
    screen.print(
        f"{rules['protocol']}: {data['test_events']:,} test events of {data['test_users']:,} users, "
        f"{data['items']:,} items ranked, {data['learnt_events']:,} training events; "
        f"ties by {rules['ties']}; seen items {'ranked' if seen == 'keep' else 'hidden'}",
        highlight=False,
    )
    wide = PrintableConsole(width=max(screen.width, MIN_WIDTH))
    tables = [_main(report, seen), _depths(report, seen), _sliced(report, seen)]
    if any(model["now_gap"] for model in report["models"]):
        tables.append(_now_gap(report, seen))
    for table in tables:
        wide.print(table)
    budget = report["budget"]
    screen.print(
        f"Each trained network: {budget['trials']} configuration(s) tried, at most {budget['epochs']} epochs, patience "
        f"{budget['patience']}, width {budget['width']}, window {budget['window']['size']}; counting models: all of "
        "theirs. Brackets: 95% intervals from resampling users.",
        highlight=False,
    )


def print_replay(report: Figures) -> None:
    """The figures of a prequential evaluation."""
    counts = f"{report['test_events']:,} test events of {report['users']:,} users, {report['items']:,} items"
    screen.print(f"prequential: {counts}, periods from {', '.join(report['periods'])}", highlight=False)
    wide = PrintableConsole(width=max(screen.width, MIN_WIDTH))
    table = _table(
        "arm", "HR@10", "NDCG@10", f"NDCG@10 - {report['against']}", "95%", "training, CPU s", "ranking, CPU s"
    )
    young = _table("arm", "HR@10, items after the cut", "younger than its model", "popularity there", "events")
    periods = _table("NDCG@10 from", *report["periods"])
    for name, arm in report["arms"].items():
        mean, low, high = arm["difference"]
        cells = [f"{arm['hr_10']:.4f}", f"{arm['ndcg_10']:.4f}", f"{mean:+.4f}", f"[{low:+.4f}, {high:+.4f}]"]
        table.add_row(name, *cells, f"{arm['train_cpu_s']:,.1f}", f"{arm['rank_cpu_s']:,.1f}")
        shares = ("hr_10_items_after_the_cut", "hr_10_items_younger_than_the_model", "popularity_on_the_same")
        young.add_row(
            name, *("-" if arm[key] is None else f"{arm[key]:.4f}" for key in shares), f"{arm['num_younger']:,}"
        )
        periods.add_row(name, *(f"{value:.4f}" for value in arm["by_period"]))
    for part in (table, periods, young):
        wide.print(part)


def _main(report: Figures, seen: str) -> Table:
    table = _table("model", "HR@10", "NDCG@10", "95%", "MRR@10", "coverage@10", f"NDCG@10 - {report['against']}", "")
    for model in report["models"]:
        figures = model["seen"][seen]
        metrics = figures["metrics"]
        ndcg, coverage = metrics["NDCG@10"], figures["coverage"]["@10"]
        cells = [f"{metrics['HR@10']['mean']:.4f}", f"{ndcg['mean']:.4f}", _bounds(ndcg)]
        cells += [f"{metrics['MRR@10']['mean']:.4f}", f"{coverage:.3f}", *_difference(figures["difference"])]
        table.add_row(model["model"], *cells)
    return table


def _depths(report: Figures, seen: str) -> Table:
    names = [f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in (5, 10, 20)]
    table = _table("model", *names)
    for model in report["models"]:
        metrics = model["seen"][seen]["metrics"]
        table.add_row(model["model"], *(f"{metrics[name]['mean']:.4f}" for name in names))
    return table


def _now_gap(report: Figures, seen: str) -> Table:
    """Models that read the gap to now: without it, to a moment drawn before the answer, and to the answer itself."""
    table = _table("NDCG@10, gap to now", "without", "drawn before", "change", "at the click", "change")
    for model in report["models"]:
        if model["now_gap"]:
            cells = [f"{model['seen'][seen]['metrics']['NDCG@10']['mean']:.4f}"]
            for way in ("drawn", "click"):
                ndcg = model["now_gap"][way][seen]["NDCG@10"]
                change = ndcg["change"]
                cells += [f"{ndcg['mean']:.4f}", f"{change['mean']:+.4f} {_bounds(change)}"]
            table.add_row(model["model"], *cells)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(title_justify="left")
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _bounds(interval: Figures) -> str:
    return f"[{interval['low']:.4f}, {interval['high']:.4f}]".replace("[", "\\[")


def _difference(difference: Figures) -> tuple[str, str]:
    """The difference with its interval, and as a share of the baseline."""
    if not difference:
        return "", ""
    ndcg = difference["NDCG@10"]
    relative = "" if ndcg["relative"] is None else f"{ndcg['relative']:+.1%}"
    return f"{ndcg['mean']:+.4f} {_bounds(ndcg)}", relative


def _sliced(report: Figures, seen: str) -> Table:
    kinds = [kind for kind, num_events in report["slices"].items() if num_events]
    table = _table("NDCG@10 by kind", *(f"{kind} ({report['slices'][kind]:,})" for kind in kinds))
    for model in report["models"]:
        slices = model["seen"][seen]["slices"]
        table.add_row(model["model"], *(f"{slices[kind]['NDCG@10']:.4f}" for kind in kinds))
    return table
