"""Reads rows of CSV, TSV and JSON-lines files, plain or gzipped, with line numbers; bad lines are reported.

Streams in blocks, so that a file may be larger than memory. Independent of interactions and items, which
`core.imports.event_import` and `core.imports.item_import` make of rows.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Never

from core.errors import InvalidInput
from core.imports.lines import BadLine, Blocks, DamagedFile, InputFile, Lines, raw_bytes
from core.interactions import shorten

__all__ = ["BadLine", "Chunk", "DamagedFile", "InputFile", "RowReader"]

MAX_COLUMNS_SHOWN = 50
NOT_UTF8 = "is no UTF-8; convert the file (iconv -f latin1 -t utf-8) and import it again"
MAX_LINES_TRIED = 1000  # to find the first JSON object


@dataclass(slots=True)
class Chunk:
    """Rows with their line numbers, texts and values, and the bad lines."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    rows: list[Sequence[Any]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)

    @property
    def num_lines(self) -> int:
        """The number of rows and bad lines; call it before any row is rejected."""
        return len(self.rows) + len(self.bad)

    def reject(self, row: int, reason: str) -> None:
        """Add a row to the bad lines; it stays in `rows`."""
        self.bad.append(BadLine(self.lines[row], reason, raw_bytes(self.texts[row])))


class RowReader:
    """The rows of one file. `columns`: the names in its header, or the keys of its first object.

    `multiline`: whether a quoted value may contain line breaks. If not, a stray quote affects only its own line.
    """

    def __init__(self, source: InputFile, *, multiline: bool = False) -> None:
        self.source = source
        self._multiline = multiline
        self._blocks = Blocks(source.stream)
        self._lines = Lines(source.name, self._blocks)
        self._is_json = source.kind == "jsonl"
        self._delimiter = "\t" if source.kind == "tsv" else ","
        self._quoted = source.kind == "csv"  # in TSV a quote is just a quote
        self.columns = self._first_keys() if self._is_json else self._header()

    @property
    def bytes_read(self) -> int:
        """The number of bytes of the file read so far."""
        return self._blocks.bytes_read

    def chunks(self, names: Sequence[str], *, optional: Sequence[str] = (), size: int) -> Iterator[Chunk]:
        """All rows in chunks of `size`, with the values of `names`, then of `optional` (None if an object has none).

        Raises `InvalidInput` if the file has no such column, and `DamagedFile` after the last readable row.
        """
        all_names = [*names, *optional]
        indices = self._indices(names if self._is_json else all_names)
        while True:
            chunk = Chunk()
            try:
                if self._is_json:
                    self._read_objects(chunk, all_names, size)
                else:
                    self._read_table(chunk, indices, size)
            except DamagedFile:
                yield chunk
                raise
            if not chunk.num_lines:
                return
            yield chunk

    def _indices(self, names: Sequence[str]) -> list[int]:
        for name in names:
            if self.columns.count(name) != 1:
                problem = "has more than one column" if name in self.columns else "has no column"
                existing = ", ".join(shorten(column) for column in self.columns[:MAX_COLUMNS_SHOWN])
                msg = f"{self.source.name} {problem} {shorten(name)}; its columns are {existing}"
                raise InvalidInput(msg)
        return [self.columns.index(name) for name in names]

    def _read_table(self, chunk: Chunk, indices: Sequence[int], size: int) -> None:
        lines, width = self._lines, len(self.columns)
        pick = itemgetter(*indices) if len(indices) > 1 else lambda row: (row[indices[0]],)
        for text in lines:
            try:
                row = self._values(text)
            except csv.Error as error:
                chunk.bad.append(lines.reject(str(error)))
                continue
            num_lines = len(lines.recent)
            if len(row) == width and (num_lines == 1 or self._multiline):
                chunk.lines.append(lines.number + 1 - num_lines)
                chunk.texts.append(text if num_lines == 1 else "".join(lines.recent))
                chunk.rows.append(pick(row))
            elif not text.isspace():
                chunk.bad.append(lines.reject(_shape_problem(len(row), width, num_lines)))
            lines.recent.clear()
            if len(chunk.rows) + len(chunk.bad) >= size:
                return

    def _values(self, text: str) -> list[str]:
        """The values of a line, and of the following ones if a quote continues. Lines without quotes are split."""
        if not text.isascii() and not _is_utf8(text):
            raise csv.Error(NOT_UTF8)
        if self._quoted and '"' in text:
            return self._quoted_values(text)
        return text.rstrip("\r\n").split(self._delimiter)

    def _quoted_values(self, text: str) -> list[str]:
        try:
            return next(csv.reader(chain((text,), self._lines)))
        except csv.Error as error:
            msg = f"{error}; check its quotes"
            raise csv.Error(msg) from None

    def _read_objects(self, chunk: Chunk, names: Sequence[str], size: int) -> None:
        for text in self._lines:
            if not text.isspace():
                try:
                    values = _object(text)
                except (ValueError, RecursionError) as error:
                    chunk.bad.append(self._lines.reject(f"{error}"))
                else:
                    chunk.lines.append(self._lines.number)
                    chunk.texts.append(text)
                    chunk.rows.append([values.get(name) for name in names])
            self._lines.recent.clear()
            if chunk.num_lines >= size:
                return

    def _header(self) -> tuple[str, ...]:
        try:
            row = self._values(next(self._lines, ""))
        except csv.Error as error:
            msg = f"{self.source.name}: its first line is no header of column names ({error})"
            raise InvalidInput(msg) from None
        if not any(row):
            msg = f"{self.source.name}: wanted a first line with the names of the columns, got none"
            raise InvalidInput(msg)
        self._lines.recent.clear()
        return tuple(name.strip() for name in row)

    def _first_keys(self) -> tuple[str, ...]:
        """The keys of the first object, which is pushed back."""
        read: list[str] = []
        try:
            for text in islice(self._lines, MAX_LINES_TRIED):
                read.append(text)
                try:
                    return tuple(_object(text))
                except (ValueError, RecursionError):
                    continue
        finally:
            self._lines.put_back(read)
        msg = f"{self.source.name}: wanted one JSON object per line, found none in the first {len(read)} lines"
        raise InvalidInput(msg)


def _is_utf8(text: str) -> bool:
    """Whether the line was valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(text: str) -> dict[str, Any]:
    if not text.isascii() and not _is_utf8(text):
        raise ValueError(NOT_UTF8)
    value = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        msg = f"wanted a JSON object, got {shorten(value)}"
        raise ValueError(msg)
    return value


def _refuse_constant(name: str) -> Never:
    msg = f"{name} is no JSON; leave the value out"
    raise ValueError(msg)


def _shape_problem(num_values: int, width: int, num_lines: int) -> str:
    if num_lines > 1:
        return "a quote is opened and not closed; close or remove it"
    return f"has {num_values} values where the header names {width} columns"
