"""Writes records to JSON lines (plain or gzipped) or, by DuckDB, to Parquet. A file appears when it is complete."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from core.errors import InvalidInput
from storage.files.duck import connect
from storage.whole_files import whole_file

PRIVATE = 0o600  # events and lists name users: for nobody but the owner to read
ENDINGS = (".parquet", ".jsonl", ".jsonl.gz", ".ndjson")


def write_records(path: Path, records: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> int:
    """Write records to a file, whose format is that of its name; returns their number.

    `types`: DuckDB's type of each field, for Parquet. Raises `InvalidInput` where the file cannot be written.
    """
    check_writable(path)
    with whole_file(path) as part:
        part.touch(mode=PRIVATE)
        num_records = _write_lines(part, records, packed=path.name.endswith(".gz"))
        if path.suffix == ".parquet":
            _to_parquet(part, types)
    return num_records


def check_writable(path: Path) -> None:
    """Raise `InvalidInput` where the format is unknown or the file exists."""
    if not path.name.endswith(ENDINGS):
        msg = f"{path}: wanted a name that ends with one of {', '.join(ENDINGS)}"
        raise InvalidInput(msg)
    if path.exists():
        msg = f"{path} exists; remove it, or name another file"
        raise InvalidInput(msg)


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]], *, packed: bool) -> int:
    num_records = 0
    with gzip.open(path, "wb") if packed else path.open("wb") as file:
        for record in records:
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            num_records += 1
    return num_records


def _to_parquet(path: Path, types: Mapping[str, str]) -> None:
    """Replace a file of JSON lines by the same records as Parquet."""
    columns = ", ".join(f"'{name}': '{type_}'" for name, type_ in types.items())
    source = f"read_json('{_escaped(path)}', format = 'newline_delimited', columns = {{{columns}}})"
    result = path.with_name(f"{path.name}.parquet")
    with connect() as connection:
        connection.execute(f"COPY (FROM {source}) TO '{_escaped(result)}' (FORMAT parquet, COMPRESSION zstd)")
    result.chmod(PRIVATE)
    os.replace(result, path)


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
