"""`tidewise evaluate`: models compared on files of events, with one harness for all; no database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from core.history import WindowShape
from tidewise.commands import evaluation_options as option
from tidewise.commands.evaluation_options import Knowledge, Products, Protocol, Seen, TieOrder
from tidewise.commands.evaluation_tables import print_replay, print_report
from tidewise.commands.options import Json, notes, print_json
from tidewise.files import event_columns, item_columns

if TYPE_CHECKING:
    from core.imports.rows import BadLine
    from model.evaluation.dataset import Dataset
    from model.evaluation.models import Budget
    from model.evaluation.protocols import Fold
    from tidewise.evaluation.files import EvaluationFiles

SHOWN_BAD_LINES = 5


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("evaluate")(evaluate)


def evaluate(
    protocol: option.How,
    events: option.Events,
    columns: option.Columns,
    items: option.Items = None,
    columns_of_items: option.ItemColumnNames = "item_id=item_id,title=title",
    separator: option.Separator = "|",
    features: option.Features = None,
    time_unit: option.TimeUnit = None,
    format_: option.Format = None,
    model: option.Models = None,
    against: option.Against = None,
    cut: option.Cut = "0.8",
    state: option.State = Knowledge.LIVE,
    ties: option.Ties = TieOrder.SOURCE,
    seen: option.ShownSeen = Seen.KEEP,
    hides_seen: option.HidesSeen = False,
    max_questions: option.MaxQuestions = None,
    periods: option.Periods = 5,
    chart: option.Chart = None,
    seeds: option.Seeds = 1,
    trials: option.Trials = 1,
    epochs: option.Epochs = 30,
    patience: option.Patience = 3,
    max_minutes: option.MaxMinutes = None,
    window: option.Window = 50,
    width: option.Width = 64,
    device: option.Device = "auto",
    precision: option.Precision = Products.AUTO,
    threads: option.Threads = 0,
    cache: option.Cache = Path(".tidewise/evaluations"),
    json_: Json = False,
) -> None:
    """Compare models on a file of events: all items ranked, HR, NDCG and MRR at 5, 10 and 20. Needs no database.

    Finished results are kept, so that a run that was killed goes on where it was.
    """
    files = _files(events, columns, time_unit, items, format_, columns_of_items, separator)
    budget = _budget(trials, epochs, patience, max_minutes, width, window, device, precision, threads)
    budget = replace(budget, hides_seen=hides_seen)
    shown = Shown(seen, chart, json_)
    wanted = Wanted(protocol, cut, state, ties, max_questions, periods, model, against, seeds, features, cache, shown)
    (_replay if protocol is Protocol.PREQUENTIAL else _compare)(files, budget, wanted)


@dataclass(frozen=True)
class Shown:
    """What is shown of the results, and how."""

    seen: Seen
    chart: Path | None
    json: bool


@dataclass(frozen=True)
class Wanted:
    """What is asked, of which models."""

    protocol: Protocol
    cut: str
    state: Knowledge
    ties: TieOrder
    max_questions: int | None
    periods: int
    names: Sequence[str] | None
    against: str | None
    seeds: int
    features: Sequence[str] | None
    cache: Path
    shown: Shown


def _files(
    events: Path,
    columns: str,
    time_unit: str | None,
    items: Path | None,
    format_: str | None,
    columns_of_items: str,
    separator: str,
) -> EvaluationFiles:
    from tidewise.evaluation.files import EvaluationFiles

    files = EvaluationFiles(events, event_columns(columns), time_unit, items, format=format_)
    files.item_columns = item_columns(columns_of_items, attributes="", separator=separator)
    return files


def _budget(
    trials: int,
    epochs: int,
    patience: int,
    max_minutes: float | None,
    width: int,
    window: int,
    device: str,
    precision: Products,
    threads: int,
) -> Budget:
    """What every trained network gets; the threads of this process are limited to it."""
    from model.evaluation.models import Budget
    from model.evaluation.networks import device_of, precision_of
    from model.training.threads import limit_threads

    limit_threads(threads or max(1, (os.cpu_count() or 1) - 1))
    shape = WindowShape(window, max(1, window // 5))
    max_seconds = None if max_minutes is None else max_minutes * 60
    device = device_of(device)
    budget = Budget(trials, epochs, patience, max_seconds, width=width, window=shape, device=device)
    return replace(budget, precision=precision_of(precision.value, device))


def _compare(files: EvaluationFiles, budget: Budget, given: Wanted) -> None:
    """The protocols that ask once: models compared, and their report."""
    from tidewise.evaluation import files as evaluation

    names, against = given.names or evaluation.DEFAULT_MODELS, given.against or evaluation.FALLBACK
    plan = evaluation.Plan(names, against, budget, range(given.seeds), given.cache, given.features or ())
    evaluation.specs_of([*names, against])  # a wrong name is said before anything is read
    with EvaluationBar() as bar:
        bar.show("reading the files", 0.0)
        dataset = files.dataset(ties=given.ties.value)
        fold = _fold(given.protocol, dataset, given.cut, given.state, given.max_questions)
        found = evaluation.compare(dataset, fold, plan, progress=bar.show)
    if not found["contents"]:
        notes.print("No texts of items were given (--items), so networks read ids alone.")
    found["bad_lines"] = _noted(files.bad_lines)
    if given.shown.json:
        print_json(found)
    else:
        print_report(found, seen=given.shown.seen.value)


def _replay(files: EvaluationFiles, budget: Budget, given: Wanted) -> None:
    """The prequential protocol: a replay, its report and its chart."""
    from tidewise.evaluation import prequential

    names, against = prequential.arms_of(given.names, given.against)
    with EvaluationBar() as bar:
        bar.show("reading the files", 0.0)
        dataset = files.dataset(ties=given.ties.value)
        stream = prequential.stream_of(
            dataset,
            cut=given.cut,
            num_periods=given.periods,
            max_questions=given.max_questions,
            hide_seen=given.shown.seen is Seen.HIDE,
        )
        recipe = prequential.recipe_of(budget, has_text=files.items is not None, folder=given.cache)
        replayed = prequential.Replay(stream, recipe, names, range(given.seeds), against)
        found = prequential.replay(replayed, progress=bar.show)
    found["bad_lines"] = _noted(files.bad_lines)
    if given.shown.chart is not None:
        prequential.write_chart(found, given.shown.chart)
    if given.shown.json:
        print_json(found)
    else:
        print_replay(found)


def _noted(bad_lines: Sequence[BadLine]) -> int:
    """How many lines could not be read; the first ones are said."""
    for bad in bad_lines[:SHOWN_BAD_LINES]:
        notes.print(f"line {bad.line}: {bad.reason}", markup=False, highlight=False)
    return len(bad_lines)


def _fold(protocol: Protocol, dataset: Dataset, cut: str, state: Knowledge, max_questions: int | None) -> Fold:
    """The dataset divided, with a sample of its questions where that is wanted."""
    from model.evaluation.protocols import leave_one_out, temporal
    from tidewise.evaluation.files import cut_of

    if protocol is Protocol.LEAVE_ONE_OUT:
        return leave_one_out(dataset).asking(max_questions)
    return temporal(dataset, cut_ms=cut_of(cut, dataset), state=state.value).asking(max_questions)


class EvaluationBar:
    """What is being done and how much of it is over, for people."""

    def __init__(self) -> None:
        columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=notes, transient=True)
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> EvaluationBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, what: str, share: float) -> None:
        """Draw where the evaluation stands."""
        self._progress.update(self._task, description=what, completed=share)
