"""The options that describe files of events and items, shared by import, replay and evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from core.catalogue.attributes import PLAIN_NUMBER
from core.imports.event_rows import HistoryColumns, RowRules, check_time_unit
from core.imports.item_import import ItemColumns
from core.imports.rows import FileFormat
from tidewise.commands.files.presets import OWN, PRESETS, fitting_preset, preset_format, preset_of
from tidewise.commands.options import notes
from tidewise.files import (
    ITEM_FIELDS,
    check_columns,
    event_columns,
    guess_time_unit,
    item_columns,
    names_in,
    opened,
    row_rules,
    time_zone,
    type_names,
)
from tidewise.settings.schema import Settings

ITEM_COLUMNS_HELP = f"Columns of {', '.join(ITEM_FIELDS)} (default: item_id=item_id,title=title)."
ItemColumnNames = Annotated[
    str,
    typer.Option("--item-columns", help=ITEM_COLUMNS_HELP, metavar="FIELD=COLUMN[+COLUMN],...", show_default=False),
]
COLUMNS_FORM = "USER,ITEM,TIME[,TYPE[,VALUE[,EVENT_ID]]]"
ITEM_COLUMNS_FORM = "item_id=COLUMN,title=COLUMN"
COLUMNS = "user_id,item_id,time"
ITEM_COLUMNS = "item_id=item_id,title=title"
# Columns of these names are not read unless they are named.
UNREAD_FIELDS = ("type", "value", "event_id")
UNREAD_ITEM_FIELDS = (*(name for name in ITEM_FIELDS if name not in ("item_id", "title")), "attributes")
FORMATS_HELP = "CSV, TSV or other delimited text, JSON lines, a JSON array or Parquet; also gzip or zstd"


@dataclass(frozen=True, kw_only=True)
class EventFileOptions:
    """How the files of a command are read."""

    preset: Annotated[
        str | None,
        typer.Option(help=f"Files of a known kind: {', '.join(PRESETS)}.", show_default=False),
    ] = None
    columns: Annotated[
        str | None,
        typer.Option(
            metavar=COLUMNS_FORM,
            help=f"Names of the events' columns, in order (default: {COLUMNS}); user.id reads a nested value.",
            show_default=False,
        ),
    ] = None
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

    def format_of(self, path: Path) -> FileFormat:
        """What is said of the format of a file."""
        said = FileFormat(self.format, self.delimiter, self.encoding, self.header)
        return said if self.preset is None else preset_format(path, said)

    def columns_of(self, path: Path) -> HistoryColumns:
        """The columns of an events file: as given, or by the preset."""
        if self.columns is not None:
            named = event_columns(self.columns)
            optional = tuple(named.optional().values())
            check_columns(
                path, self.format_of(path), named.required, optional, remedy=f"name it: --columns {COLUMNS_FORM}"
            )
            return named
        if self.preset is None:
            self._require_names(path)
            return event_columns(COLUMNS)
        return preset_of(self.preset).columns_of(path, self.format_of(path))

    def _require_names(self, path: Path) -> None:
        """Raise `InvalidInput` with what to do where a file has other names than the default ones."""
        with opened(path, self.format_of(path)) as reader:
            preset = fitting_preset(reader.columns)
            remedy = f"use --preset {preset}" if preset else "name them: --columns USER,ITEM,TIME"
            if any(PLAIN_NUMBER.fullmatch(name) for name in reader.columns):
                remedy = "if these are values, the file has no header: --no-header --columns 1,2,3"
            _note_unread(path, reader.columns, UNREAD_FIELDS, option="--columns")
        check_columns(path, self.format_of(path), event_columns(COLUMNS).required, remedy=remedy)

    @property
    def type_names(self) -> Mapping[str, str]:
        """Foreign event types and what they are here."""
        return {**(preset_of(self.preset).types if self.preset else {}), **type_names(self.types)}

    def rules(self, settings: Settings, path: Path) -> RowRules:
        """The rules of an events file; finds out the unit of its times where none is given."""
        if self.time_unit is not None:
            check_time_unit(self.time_unit)
        columns = self.columns_of(path)
        unit = self.time_unit or guess_time_unit(path, self.format_of(path), columns.time)
        rules = row_rules(settings, columns, time_unit=unit, zone=time_zone(self.time_zone), type_names=self.type_names)
        default_type = preset_of(self.preset).default_type if self.preset else None
        return rules if default_type is None else replace(rules, default_type=default_type)


def _note_unread(path: Path, existing: Sequence[str], fields: Sequence[str], *, option: str) -> None:
    """Say which columns have the name of a field and are not read, as only some are by default."""
    unread = [name for name in fields if name in existing]
    if unread:
        msg = (
            f"{path}: not read: {', '.join(unread)}; name them ({option}), or --preset {OWN} for an export of Tidewise"
        )
        notes.print(msg, markup=False, highlight=False, soft_wrap=True)


def check_item_columns(path: Path, file_format: FileFormat, columns: ItemColumns) -> None:
    """Raise `InvalidInput` with what to do where a file of items lacks one of its columns."""
    named = [name for name in columns.names if name not in columns.attributes]
    check_columns(path, file_format, [columns.item_id], named, remedy=f"name it: --item-columns {ITEM_COLUMNS_FORM}")
    check_columns(path, file_format, [columns.item_id], columns.attributes, remedy="name it: --attributes COLUMN,...")


@dataclass(frozen=True, kw_only=True)
class FileOptions(EventFileOptions):
    """How files of events and items are read."""

    items: Annotated[Path | None, typer.Option(help=f"Catalogue items: {FORMATS_HELP}.", show_default=False)] = None
    item_columns: Annotated[
        str | None,
        typer.Option(help=ITEM_COLUMNS_HELP, metavar="FIELD=COLUMN[+COLUMN],...", show_default=False),
    ] = None
    separator: Annotated[str, typer.Option(help="Separator of an item's categories.")] = "|"

    def columns_of_items(self, attributes: str = "") -> ItemColumns:
        """The columns of the file of items: as given, or by the preset."""
        if self.items is None or self.preset is None or self.item_columns is not None:
            columns = item_columns(self.item_columns or ITEM_COLUMNS, attributes=attributes, separator=self.separator)
            if self.items is not None:
                check_item_columns(self.items, self.format_of(self.items), columns)
                if self.item_columns is None:
                    with opened(self.items, self.format_of(self.items)) as reader:
                        fields = [name for name in UNREAD_ITEM_FIELDS if name not in columns.attributes]
                        _note_unread(self.items, reader.columns, fields, option="--item-columns")
            return columns
        columns = preset_of(self.preset).item_columns_of(self.items, self.format_of(self.items))
        return replace(columns, attributes=names_in(attributes, ",") or columns.attributes)
