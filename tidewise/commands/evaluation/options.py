"""The options of `tidewise evaluate`: one request object for each protocol, whose fields are the command's options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cores import num_cores
from core.events.history import WindowShape
from model.evaluation.names import DEFAULT_MODELS, MODELS
from tidewise.commands.files.file_options import FORMATS_HELP, FileOptions
from tidewise.commands.options import finite
from tidewise.files import time_zone

if TYPE_CHECKING:
    from model.evaluation.models import Budget
    from tidewise.evaluation.files import EvaluationFiles


class TieOrder(StrEnum):
    """The order of a user's events that share a time."""

    SOURCE = "source"
    HASH = "hash"


class TrainingPrecision(StrEnum):
    """The number format of matrix products in training."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class State(StrEnum):
    """The history of a test event of the temporal protocol: up to the event, or up to the cut."""

    LIVE = "live"
    FROZEN = "frozen"


class Seen(StrEnum):
    """Whether a user's earlier items are ranked."""

    KEEP = "keep"
    HIDE = "hide"


MODELS_HELP = f"A model; repeat for more: {', '.join(MODELS)} (default: {', '.join(DEFAULT_MODELS)})."
ARMS = (
    "popularity, co-occurrence, counts, vsknn, frozen-frozen, frozen, fine-tune, fine-tune+replay, fine-tune+rank, "
    "retrain, product, product:encoder (default: all but the last two, counts and fine-tune+rank)"
)


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest(FileOptions):
    """What every protocol takes: the files, the models to compare, and the budget of their training."""

    events: Annotated[list[Path], typer.Option(help=f"Events: {FORMATS_HELP}; repeat for more.")]
    ties: Annotated[TieOrder, typer.Option(help="Order of a user's events that share a time.")] = TieOrder.SOURCE
    max_test_events: Annotated[
        int | None, typer.Option(help="Test on a random sample of so many events.", min=1, show_default=False)
    ] = None
    hides_seen: Annotated[
        bool, typer.Option("--hides-seen", help="Train networks for answers that exclude seen items.")
    ] = False
    seeds: Annotated[int, typer.Option(help="Seeds of each model with randomness.", min=1)] = 1
    epochs: Annotated[int, typer.Option(help="Maximum epochs of a training.", min=1)] = 30
    patience: Annotated[int, typer.Option(help="Epochs without improvement before early stopping.", min=1)] = 3
    max_minutes: Annotated[
        float | None,
        typer.Option(min=0.001, callback=finite, help="Maximum minutes of a training.", show_default=False),
    ] = None
    window: Annotated[int, typer.Option(help="Events that a network reads.", min=1)] = 50
    width: Annotated[int, typer.Option(help="Width of the networks.", min=1)] = 64
    device: Annotated[str, typer.Option(help="Device of the networks: auto, cpu or cuda.")] = "auto"
    precision: Annotated[
        TrainingPrecision, typer.Option(help="Precision of training; auto: bfloat16 where that is fast.")
    ] = TrainingPrecision.AUTO
    threads: Annotated[int, typer.Option(help="CPU threads of the networks (0: all but one).", min=0)] = 0
    cache: Annotated[Path, typer.Option(help="Folder that keeps finished results.")] = Path(".tidewise/evaluations")
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")] = False

    def files(self) -> EvaluationFiles:
        """The files and how to read them."""
        from tidewise.evaluation.files import EvaluationFiles

        columns = [self.columns_of(path) for path in self.events]
        return EvaluationFiles(
            self.events,
            columns[0],
            self.time_unit,
            self.items,
            self.columns_of_items(),
            self.format_of(self.events[0]),
            time_zone(self.time_zone),
            self.type_names,
        )

    def budget(self) -> Budget:
        """The budget of every trained network; limits the threads of this process to it."""
        from model.evaluation.models import Budget
        from model.evaluation.networks import device_of, precision_of
        from model.training.threads import limit_threads

        limit_threads(self.threads or max(1, num_cores() - 1))
        device = device_of(self.device)
        return Budget(
            epochs=self.epochs,
            patience=self.patience,
            max_seconds=None if self.max_minutes is None else self.max_minutes * 60,
            width=self.width,
            window=WindowShape(self.window, max(1, self.window // 5)),
            device=device,
            precision=precision_of(self.precision.value, device),
            hides_seen=self.hides_seen,
        )


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest(EvaluationRequest):
    """What the protocols with one training take."""

    model: Annotated[list[str] | None, typer.Option(help=MODELS_HELP, show_default=False)] = None
    against: Annotated[str, typer.Option(help="The model that others are compared with.")] = "popularity"
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="Item vectors besides the texts: a folder of `tidewise features`, a .npy or .safetensors file; "
            "repeat for more.",
            metavar="PATH[:NAME]",
            show_default=False,
        ),
    ] = None
    seen: Annotated[Seen, typer.Option(help="Whether the table ranks a user's earlier items (keep) or not (hide).")] = (
        Seen.KEEP
    )
    trials: Annotated[int, typer.Option(help="Configurations tried for each trained network.", min=1)] = 1

    def budget(self) -> Budget:
        """The budget of every trained network, with its trials."""
        return replace(super().budget(), trials=self.trials)


@dataclass(frozen=True, kw_only=True)
class LeaveOneOutRequest(ComparisonRequest):
    """Compare models on each user's last event.

    All items are ranked; the report has HR, NDCG and MRR at 5, 10 and 20. Finished results are cached:
    an interrupted run continues.
    """

    validation_users: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Hold out the event before the last of at most so many users (4,000); that of the others trains.",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class TemporalRequest(ComparisonRequest):
    """Compare models on the events after a cut in time.

    All items are ranked; the report has HR, NDCG and MRR at 5, 10 and 20. Finished results are cached:
    an interrupted run continues.
    """

    cut: Annotated[str, typer.Option(help="Train on this share of the events, or on those before this date (UTC).")] = (
        "0.8"
    )
    state: Annotated[
        State, typer.Option(help="Whether histories grow with the events after the cut (live) or end at it (frozen).")
    ] = State.LIVE


@dataclass(frozen=True, kw_only=True)
class PrequentialRequest(EvaluationRequest):
    """Compare ways of continuous learning on a replay.

    Events are replayed in time order; the report has HR and NDCG at 10 by period. Trained models are cached:
    an interrupted run continues.
    """

    model: Annotated[list[str] | None, typer.Option(help=f"An arm; repeat for more: {ARMS}.", show_default=False)] = (
        None
    )
    against: Annotated[str, typer.Option(help="The model that others are compared with.")] = "frozen"
    cut: Annotated[
        str, typer.Option(help="Train first on this share of the events, or on those before this date (UTC).")
    ] = "0.8"
    periods: Annotated[int, typer.Option(help="Periods; models are updated at the end of each.", min=1)] = 5
    seen: Annotated[Seen, typer.Option(help="Whether a user's earlier items are ranked (keep) or not (hide).")] = (
        Seen.KEEP
    )
    chart: Annotated[
        Path | None, typer.Option(help="Write NDCG@10 by period to this SVG file.", show_default=False)
    ] = None
