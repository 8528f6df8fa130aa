"""The options that describe files of events and items, shared by import, replay and evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from core.imports.event_rows import RowRules
from core.imports.item_import import ItemColumns
from core.imports.rows import FileFormat
from tidewise.files import event_columns, guess_time_unit, item_columns, row_rules, time_zone, type_names
from tidewise.settings.schema import Settings

ItemColumnNames = Annotated[
    str,
    typer.Option(
        "--item-columns", metavar="FIELD=COLUMN[+COLUMN],...", help="Columns of item_id, title, text, categories."
    ),
]
FORMATS_HELP = "CSV, TSV or other delimited text, JSON lines, a JSON array or Parquet; also gzip or zstd"


@dataclass(frozen=True, kw_only=True)
class EventFileOptions:
    """How the files of a command are read."""

    columns: Annotated[
        str,
        typer.Option(
            metavar="USER,ITEM,TIME[,TYPE[,VALUE[,EVENT_ID]]]",
            help="Names of the events' columns, in order; user.id reads a nested value.",
        ),
    ] = "user_id,item_id,time"
    time_unit: Annotated[
        str | None,
        typer.Option(help="Unit of numeric times: s, ms, us or ns (default: by their size).", show_default=False),
    ] = None
    time_zone: Annotated[str, typer.Option(help="Zone of times such as 2022-06-24 21:20:11 without an offset.")] = "UTC"
    types: Annotated[
        str, typer.Option(metavar="FOREIGN=OURS,...", help="Event types of the file and what they are here.")
    ] = ""
    format: Annotated[
        str | None,
        typer.Option(help="csv, tsv, jsonl, json or parquet (default: by name and content).", show_default=False),
    ] = None
    delimiter: Annotated[
        str | None, typer.Option(help="Delimiter of text files (default: by the header).", show_default=False)
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of text files, as latin-1 (default: UTF-8 or UTF-16).", show_default=False),
    ] = None
    header: Annotated[
        bool, typer.Option(help="Whether the first line names the columns; if not, they are called 1, 2, 3 ...")
    ] = True

    @property
    def file_format(self) -> FileFormat:
        """What is said of the files' format."""
        return FileFormat(self.format, self.delimiter, self.encoding, self.header)

    def rules(self, settings: Settings, path: Path) -> RowRules:
        """The rules of an events file; finds out the unit of its times where none is given."""
        columns, zone, names = event_columns(self.columns), time_zone(self.time_zone), type_names(self.types)
        unit = self.time_unit or guess_time_unit(path, self.file_format, columns.time)
        return row_rules(settings, columns, time_unit=unit, zone=zone, type_names=names)


@dataclass(frozen=True, kw_only=True)
class ItemFileOptions:
    """How a file of items is read."""

    items: Annotated[Path | None, typer.Option(help=f"Catalogue items: {FORMATS_HELP}.", show_default=False)] = None
    item_columns: ItemColumnNames = "item_id=item_id,title=title"
    separator: Annotated[str, typer.Option(help="Separator of an item's categories.")] = "|"

    def columns_of_items(self, attributes: str = "") -> ItemColumns:
        """The columns of the file of items."""
        return item_columns(self.item_columns, attributes=attributes, separator=self.separator)
