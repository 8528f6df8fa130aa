"""The options of `tidewise evaluate`: each with its words for `--help`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MODEL_HELP = (
    "A model to compare; again for more: popularity, co-occurrence, item-knn, vsknn, sasrec, sasrec-text, gru4rec, "
    "gru4rec-text, hm4sr, hm4sr:ABLATION+..., river-mf (default: most of them). Prequential: popularity, "
    "co-occurrence, vsknn, frozen-frozen, frozen, fine-tune, fine-tune+replay, retrain (default: all)."
)


class Protocol(StrEnum):
    """How the events are divided."""

    LEAVE_ONE_OUT = "leave-one-out"
    TEMPORAL = "temporal"
    PREQUENTIAL = "prequential"


class TieOrder(StrEnum):
    """The order of a user's events that share a time."""

    SOURCE = "source"
    HASH = "hash"


class Products(StrEnum):
    """What the products of a training multiply."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Knowledge(StrEnum):
    """What a question of the temporal protocol knows."""

    LIVE = "live"
    FROZEN = "frozen"


class Seen(StrEnum):
    """Whether a user's earlier items may be answers."""

    KEEP = "keep"
    HIDE = "hide"


How = Annotated[Protocol, typer.Argument(help="How the events are divided.")]
Events = Annotated[Path, typer.Option(help="Events: CSV, TSV or JSON lines, gzip too.")]
Columns = Annotated[
    str, typer.Option(help="Names of the file's columns, in this order.", metavar="USER,ITEM,TIME[,TYPE]")
]
Items = Annotated[Path | None, typer.Option(help="Items with their texts, in the same formats.", show_default=False)]
ItemColumnNames = Annotated[
    str,
    typer.Option(
        "--item-columns", help="Columns of item_id, title, text, categories.", metavar="FIELD=COLUMN[+COLUMN],..."
    ),
]
Separator = Annotated[str, typer.Option(help="What stands between the categories of one item.")]
TimeUnit = Annotated[
    str | None, typer.Option(help="Unit of the time column: s, ms or us (default: by its size).", show_default=False)
]
Format = Annotated[
    str | None, typer.Option("--format", help="csv, tsv or jsonl (default: by the name).", show_default=False)
]
Models = Annotated[
    list[str] | None,
    typer.Option(help=MODEL_HELP, show_default=False),
]
Against = Annotated[
    str | None,
    typer.Option(
        help="The model that differences are taken from (default: popularity; prequential: frozen).", show_default=False
    ),
]
Cut = Annotated[str, typer.Option(help="Temporal: learn before this share of the events, or before this date (UTC).")]
Features = Annotated[
    list[str] | None,
    typer.Option(
        help="Vectors of items beside their texts: a folder of `tidewise features`, a .npy or .safetensors file; "
        "again for more.",
        metavar="PATH[:NAME]",
        show_default=False,
    ),
]
State = Annotated[Knowledge, typer.Option(help="Temporal: whether what happened since the cut is known.")]
Ties = Annotated[TieOrder, typer.Option(help="Order of a user's events that share a time.")]
ShownSeen = Annotated[
    Seen, typer.Option(help="Which figures the table shows: with a user's earlier items kept, or hidden.")
]
HidesSeen = Annotated[
    bool, typer.Option("--hides-seen", help="Train networks for answers that leave out what the user has had.")
]
MaxQuestions = Annotated[int | None, typer.Option(help="Ask only so many, drawn at random.", min=1, show_default=False)]
Seeds = Annotated[int, typer.Option(help="Seeds of each model in which chance plays a part.", min=1)]
Periods = Annotated[int, typer.Option(help="Prequential: periods, at whose ends models learn on.", min=1)]
Chart = Annotated[
    Path | None, typer.Option(help="Prequential: write NDCG@10 by period to this SVG file.", show_default=False)
]
Trials = Annotated[int, typer.Option(help="Configurations tried for each trained network.", min=1)]
Epochs = Annotated[int, typer.Option(help="Most epochs of one training.", min=1)]
Patience = Annotated[int, typer.Option(help="Epochs without a gain before a training stops.", min=1)]
MaxMinutes = Annotated[float | None, typer.Option(help="Most minutes of one training.", show_default=False)]
Window = Annotated[int, typer.Option(help="Events that a network reads.", min=1)]
Width = Annotated[int, typer.Option(help="Width of the networks.", min=1)]
Device = Annotated[str, typer.Option(help="Where networks train: auto, cpu or cuda.")]
Precision = Annotated[Products, typer.Option(help="What trainings multiply; auto: bfloat16 where that is fast.")]
Threads = Annotated[int, typer.Option(help="Cores for networks (0: all but one).", min=0)]
Cache = Annotated[Path, typer.Option(help="Folder in which finished results are kept.")]
