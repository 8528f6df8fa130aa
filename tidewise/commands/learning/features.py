"""`tidewise features`: item vectors from pictures, texts or files, stored in the data folder for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.errors import InvalidInput
from core.imports.rows import FileFormat
from tidewise.bootstrap import features_folder, open_existing
from tidewise.commands.files.file_options import ItemColumnNames, check_item_columns
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of
from tidewise.files import item_columns, opened
from tidewise.training import features as vectors_of_items
from tidewise.training.features import Target

if TYPE_CHECKING:
    from model.content.collect import Collected
    from tidewise.settings.schema import Settings

SHOWN_FAULTS = 10

Pictures = Annotated[
    Path | None, typer.Option(help="Pictures named by item id: a folder or a zip file.", show_default=False)
]
Vectors = Annotated[
    Path | None, typer.Option(help="Precomputed vectors: a .npy or .safetensors file.", show_default=False)
]
Encoder = Annotated[
    str, typer.Option(help="Pictures: classical, timm:FOLDER, open-clip:FOLDER. Texts: sentence-transformers:FOLDER.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("features")(features)


def features(
    pictures: Pictures = None,
    texts: Annotated[bool, typer.Option("--texts", help="Encode the texts of the items (needs --encoder).")] = False,
    vectors: Vectors = None,
    ids: Annotated[
        Path | None, typer.Option(help="Item ids of --vectors, one per line (default: the .ids file beside it).")
    ] = None,
    encoder: Encoder = "classical",
    name: Annotated[
        str | None, typer.Option(help="Name of the modality (default: image, text, or the file's name).")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the vectors of items that are not in the input.")
    ] = False,
    items: Annotated[
        Path | None, typer.Option(help="Items file for --texts (default: the catalogue).", show_default=False)
    ] = None,
    columns_of_items: ItemColumnNames = "item_id=item_id,title=title",
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Compute item vectors from pictures, texts or files.

    Only new and changed items are computed. Training reads the vectors besides the texts of items.
    """
    inputs = [pictures is not None, texts, vectors is not None]
    if sum(inputs) != 1:
        raise InvalidInput("features: wanted one of --pictures, --texts and --vectors; run it once for each")
    settings = settings_of(data, config, set_)
    folder = features_folder(settings)
    with FeaturesBar() as bar:
        if pictures is not None:
            target = Target(folder, name or "image")
            report = vectors_of_items.collect_pictures(target, pictures, encoder, progress=bar.show, replace=replace)
        elif vectors is not None:
            target = Target(folder, name or vectors.stem.lower())
            report = vectors_of_items.collect_vectors(target, vectors, ids, progress=bar.show, replace=replace)
        else:
            target = Target(folder, name or "text")
            item_texts = _texts(settings, items, columns_of_items)
            report = vectors_of_items.collect_texts(target, item_texts, encoder, progress=bar.show, replace=replace)
    _invalidate(settings, report)
    _print(report, target, json_=json_)


def _invalidate(settings: Settings, report: Collected) -> None:
    """Mark changed items in the database, so that serving processes reload them."""
    if not report.changed or not settings.has_database():
        return
    with open_existing(settings) as system:
        vectors_of_items.touch(system.store, report.changed)


def _texts(settings: Settings, items: Path | None, columns_of_items: str) -> dict[str, str]:
    """The texts of a file's items, or of the catalogue's."""
    from core.imports.item_import import read_items
    from core.imports.rows import BadLine

    if items is None:
        with open_existing(settings) as system, system.store.read() as read:
            catalogue = read.items.catalogue(include_uncatalogued=True)
        return dict(zip(catalogue.item_ids, catalogue.texts, strict=True))
    bad: list[BadLine] = []
    columns = item_columns(columns_of_items, attributes="", separator="|")
    check_item_columns(items, FileFormat(), columns)
    with opened(items) as source:
        return {
            item.item_id: f"{item.title}\n{item.text}".strip()
            for item in read_items(source, columns=columns, on_bad=bad.extend)
        }


def _print(report: Collected, target: Target, *, json_: bool) -> None:
    if json_:
        document = {"name": target.name, "folder": str(target.path), "items": report.num_items}
        print_json(
            document | {"computed": report.num_computed, "changed": len(report.changed), "faults": report.faults}
        )
        return
    screen.print(
        f"{report.num_items:,} items: {report.num_computed:,} computed, "
        f"{len(report.changed):,} changed, {len(report.faults):,} without a vector",
        highlight=False,
    )
    for item_id, reason in list(report.faults.items())[:SHOWN_FAULTS]:
        notes.print(f"{item_id}: {reason}", markup=False, highlight=False)
    screen.print(f"Kept in {target.path}; the next `tidewise train` reads it as {target.name}.", highlight=False)


class FeaturesBar:
    """A progress bar of items."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=notes, transient=True)
        self._task = self._progress.add_task("items", total=None)

    def __enter__(self) -> FeaturesBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: int, total: int) -> None:
        """Show the number of finished items."""
        self._progress.update(self._task, completed=done, total=total)
