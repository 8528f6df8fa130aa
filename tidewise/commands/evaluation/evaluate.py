"""`tidewise evaluate`: models compared on files of events, by one protocol each command; needs no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from model.evaluation.names import DEFAULT_MODELS
from tidewise.commands.evaluation.options import (
    ComparisonRequest,
    LeaveOneOutRequest,
    PrequentialRequest,
    Seen,
    TemporalRequest,
)
from tidewise.commands.evaluation.tables import print_replay, print_report
from tidewise.commands.options import notes, print_json
from tidewise.commands.requests import command_of

if TYPE_CHECKING:
    from core.imports.rows import BadLine
    from model.evaluation.dataset import Dataset
    from model.evaluation.protocols import Fold

SHOWN_BAD_LINES = 5

app = typer.Typer(no_args_is_help=True, help="Compare models on a file of events; needs no database.")


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("leave-one-out")(command_of(LeaveOneOutRequest, leave_one_out))
    app.command("temporal")(command_of(TemporalRequest, temporal))
    app.command("prequential")(command_of(PrequentialRequest, prequential))
    parent.add_typer(app, name="evaluate")


def leave_one_out(request: LeaveOneOutRequest) -> None:
    """Compare models on each user's last event."""
    from model.evaluation import protocols

    num_users = request.validation_users or protocols.VALIDATION_USERS
    _compare(request, lambda dataset: protocols.leave_one_out(dataset, validation_users=num_users))


def temporal(request: TemporalRequest) -> None:
    """Compare models on the events after the cut."""
    from model.evaluation import protocols
    from tidewise.evaluation.files import cut_of

    def fold(dataset: Dataset) -> Fold:
        return protocols.temporal(dataset, cut_ms=cut_of(request.cut, dataset), state=request.state.value)

    _compare(request, fold)


def _compare(request: ComparisonRequest, protocol: Callable[[Dataset], Fold]) -> None:
    from tidewise.evaluation import files as evaluation

    names = request.model or DEFAULT_MODELS
    evaluation.specs_of([*names, request.against])  # an unknown name is an error before anything is read
    files = request.files()
    plan = evaluation.ComparisonPlan(
        names, request.against, request.budget(), range(request.seeds), request.cache, request.features or ()
    )
    with EvaluationBar() as bar:
        bar.show("reading the files", 0.0)
        dataset = files.dataset(ties=request.ties.value)
        fold = protocol(dataset).sampled(request.max_test_events)
        report = evaluation.compare(dataset, fold, plan, progress=bar.show)
    if not report["contents"]:
        notes.print("No item texts (--items): networks read ids only.")
    report["bad_lines"] = _print_bad_lines(files.bad_lines)
    if request.json:
        print_json(report)
    else:
        print_report(report, seen=request.seen.value)


def prequential(request: PrequentialRequest) -> None:
    """Replay the events and compare ways of continuous learning."""
    from storage.whole_files import check_folder
    from tidewise.evaluation import prequential as evaluation
    from tidewise.evaluation.charts import require_matplotlib

    if request.chart is not None:
        require_matplotlib()
        check_folder(request.chart)
    names, against = evaluation.arms_of(request.model, request.against)
    files, budget = request.files(), request.budget()
    with EvaluationBar() as bar:
        bar.show("reading the files", 0.0)
        dataset = files.dataset(ties=request.ties.value)
        stream = evaluation.stream_of(
            dataset,
            cut=request.cut,
            num_periods=request.periods,
            max_test_events=request.max_test_events,
            hide_seen=request.seen is Seen.HIDE,
        )
        recipe = evaluation.recipe_of(budget, has_text=files.items is not None, folder=request.cache)
        product = evaluation.product_recipe(budget, has_text=files.items is not None, folder=request.cache)
        plan = evaluation.PrequentialReplay(stream, recipe, product, names, range(request.seeds), against)
        report = evaluation.replay(plan, progress=bar.show)
    report["bad_lines"] = _print_bad_lines(files.bad_lines)
    if request.chart is not None:
        evaluation.write_chart(report, request.chart)
    if request.json:
        print_json(report)
    else:
        print_replay(report)


def _print_bad_lines(bad_lines: Sequence[BadLine]) -> int:
    """The first lines that cannot be read, as remarks; returns the number of all."""
    for bad in bad_lines[:SHOWN_BAD_LINES]:
        notes.print(f"line {bad.line}: {bad.reason}", markup=False, highlight=False)
    return len(bad_lines)


class EvaluationBar:
    """A progress bar: the current step and its progress."""

    def __init__(self) -> None:
        columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=notes, transient=True)
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> EvaluationBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, step: str, fraction: float) -> None:
        """Show a step and how much of it is done."""
        self._progress.update(self._task, description=step, completed=fraction)
