"""The gate's verdict for people: a table of what was compared, and a sentence that says what serves and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from core.learn.cycle import TrainingByHand
from core.learn.gate import CHALLENGER, CHAMPION
from core.records.statuses import ModelStatus
from core.records.stored import ModelRecord
from tidewise.commands.options import PrintableConsole, screen

Line = Mapping[str, Any]  # of `compared`, in a verdict's figures
MIN_WIDTH = 100  # so that no figure is truncated in a file
NO_MODEL = "transition counts and popularity"  # serve until a model is promoted
JUDGED_AGAIN = "`tidewise up` and `tidewise learn` compare it again once there are twice as many new events."


def training_json(training: TrainingByHand) -> dict[str, Any]:
    """A training by hand for machines."""
    record, verdict = training.record, training.verdict
    return {
        "version": record.version,
        "path": record.path,
        "status": record.status,
        "serving": training.serving,
        "verdict": {"outcome": verdict.outcome, "reason": verdict.reason, **verdict.figures},
        "conclusion": conclusion(training),
        "lineage": dict(record.lineage),
    }


def print_training(training: TrainingByHand) -> None:
    """A training by hand for people."""
    lineage = training.record.lineage
    epochs, seconds = lineage.get("epochs"), lineage.get("seconds", 0)
    trained = f"trained on {lineage['num_events']:,} events in {seconds:,.0f} s ({epochs} epochs)"
    screen.print(f"Model [bold]{training.record.version}[/]: {trained}.", highlight=False, soft_wrap=True)
    print_comparisons(training.verdict.figures)
    screen.print(conclusion(training), markup=False, highlight=False, soft_wrap=True)


def print_comparisons(figures: Mapping[str, Any]) -> None:
    """The table of a verdict's figures; nothing for a verdict of an earlier version, which has none."""
    compared = figures.get("compared")
    if not compared:
        return
    table = Table("", "NDCG@10", "95%", "this model's difference", "95%", title_justify="left", box=None)
    table.title = f"On {figures['events']:,} of the newest events, by {figures['users']:,} users"
    for line in compared:
        name = "this model" if line["name"] == CHALLENGER else line["name"]
        difference = ("", "") if line["name"] == CHALLENGER else interval_cells(line["difference"], "+.4f")
        table.add_row(name, *interval_cells(line["ndcg_10"], ".4f"), *difference)
    PrintableConsole(width=max(screen.width, MIN_WIDTH)).print(table)


def conclusion(training: TrainingByHand) -> str:
    """What serves now and why, and what to do next."""
    record, verdict = training.record, training.verdict
    compared = verdict.figures["compared"][1:]
    if record.status == ModelStatus.CHAMPION:
        return " ".join([_promoted(record, verdict.outcome, compared), *_warning(compared)])
    serving = f"Model {training.serving} keeps" if training.serving else f"{NO_MODEL.capitalize()} keep"
    return " ".join(
        [
            f"Model {record.version} is not promoted: {_shortcoming(verdict.outcome, verdict.reason, compared)}.",
            f"{serving} serving.",
            "Next: import more events and train again, or promote it regardless:",
            f"`tidewise models promote {record.version} --force`.",
            *([JUDGED_AGAIN] if verdict.outcome == "undecided" else []),
        ]
    )


def _promoted(record: ModelRecord, outcome: str, compared: Sequence[Line]) -> str:
    others = _names(line for line in compared if line["decides"])
    if outcome == "promote":
        return f"Model {record.version} serves now: it is at least as good as {others} on these events."
    return f"Model {record.version} serves now by --force; the gate's verdict was: {outcome}."


def _shortcoming(outcome: str, reason: str, compared: Sequence[Line]) -> str:
    deciding = [line for line in compared if line["decides"] and line["outcome"] == outcome]
    if not deciding:
        return reason
    others = _names(deciding)
    if outcome == "refuse":
        return f"it ranks these events worse than {others}"
    return f"these events do not show that it is at least as good as {others}"


def _warning(compared: Sequence[Line]) -> list[str]:
    """Baselines that rank better than what serves now."""
    better = _names(line for line in compared if line["outcome"] == "refuse" and line["name"] != CHAMPION)
    return [f"Warning: {better} ranked these events better. Train again with more events."] if better else []


def _names(lines: Any) -> str:
    names = [f"the {line['name']}" if line["name"] in (CHAMPION, "anchor") else line["name"] for line in lines]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def interval_cells(interval: Mapping[str, float], style: str) -> tuple[str, str]:
    """A mean and its interval, each as a cell of a table."""
    mean, low, high = (format(interval[name], style) for name in ("mean", "low", "high"))
    return mean, f"\\[{low}, {high}]"
