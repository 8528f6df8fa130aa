"""Rows of delimited text and of JSON lines, with line numbers; bad lines are reported.

Streams, so that a file may be larger than memory. Splitting is not left to DuckDB: its CSV reader joins the lines after
a stray quote into one value, and numbers only the lines that it rejects.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import RawIOBase
from operator import itemgetter
from pathlib import Path
from typing import Any, Never

from core.errors import InvalidInput
from core.events.foreign_fields import value_at
from core.events.interactions import shorten
from core.imports.rows import Chunk, DamagedFile, missing_column
from storage.files.lines import MAX_TAKEN_CHARS, Lines, damaged
from storage.files.unpacking import DAMAGES, position, unpacked

DELIMITERS = (",", "\t", ";", "|", "::")
NOT_UTF8 = "is no UTF-8; name the encoding of the file (--encoding latin-1, or cp1252)"
OPEN_QUOTE = "a quote is opened and not closed; close or remove it"
PIECE_LINES = 1_000  # that are split together; where one of them is no plain row, they are read one by one
MAX_LINES_TRIED = 1000  # to find the first JSON object
MAX_CHUNK_CHARS = 1 << 24  # a chunk of long rows has fewer


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What is known of a text before it is read; None: by its first bytes and its header."""

    is_json: bool = False
    is_array: bool = False  # of JSON, as a whole
    delimiter: str | None = None
    default_delimiter: str = ","
    encoding: str | None = None
    has_header: bool = True


class TextRows:
    """The rows of one text file: `core.imports.rows.RowReader`."""

    def __init__(self, name: str, stream: RawIOBase, text_format: TextFormat, *, size: int | None = None) -> None:
        self.name = name
        self.size = size
        self._format = text_format
        self._stream = stream
        try:
            self._unpacked = unpacked(
                stream, Path(name), text_format.encoding, size=size, is_array=text_format.is_array
            )
        except DAMAGES as error:
            raise damaged(name, error, 0) from None
        self._is_strict = codecs.lookup(self._unpacked.encoding).name.startswith("utf-8")
        self._lines = Lines(name, self._unpacked)
        self._delimiter = text_format.delimiter or text_format.default_delimiter
        self._quoted = True
        self.columns = self._first_keys() if text_format.is_json else self._header()

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far."""
        return position(self._stream)

    @property
    def description(self) -> str:
        """Format, delimiter, encoding and compression."""
        kind = f"text with the delimiter {self._delimiter!r}"
        if self._format.is_json:
            kind = "a JSON array" if self._format.is_array else "JSON lines"
        return ", ".join(part for part in (kind, self._unpacked.encoding, self._unpacked.compression) if part)

    def close(self) -> None:
        """Close the file."""
        self._unpacked.close()

    def chunks(self, names: Sequence[str], *, optional: Sequence[str] = (), size: int) -> Iterator[Chunk]:
        """As `RowReader.chunks`."""
        read = self._object_reader(names, optional) if self._format.is_json else self._table_reader(names, optional)
        while True:
            chunk = Chunk()
            try:
                read(chunk, size)
            except DamagedFile:
                yield chunk
                raise
            if not chunk.num_lines:
                return
            yield chunk

    def _table_reader(self, names: Sequence[str], optional: Sequence[str]) -> Callable[[Chunk, int], None]:
        indices = [self._index(name) for name in (*names, *optional)]
        lines, width = self._lines, len(self.columns)
        pick = itemgetter(*indices) if len(indices) > 1 else lambda row: (row[indices[0]],)

        def read(chunk: Chunk, size: int) -> None:
            num_chars = 0
            while (num := min(PIECE_LINES, size - chunk.num_lines)) > 0 and num_chars < MAX_CHUNK_CHARS:
                texts = lines.take(num)
                rows = self._plain_rows(texts, width)
                if rows:
                    num_chars += sum(map(len, texts))
                    chunk.lines += range(lines.number + 1 - len(rows), lines.number + 1)
                    chunk.texts += texts
                    chunk.rows += map(pick, rows)
                    continue
                lines.put_back(texts)
                wanted = chunk.num_lines + num
                num_chars += read_lines(chunk, wanted)
                if chunk.num_lines < wanted:
                    return

        def read_lines(chunk: Chunk, size: int) -> int:
            """The number of characters read."""
            num_chars = 0
            for text in lines:
                try:
                    row = self._values(text)
                except csv.Error as error:
                    chunk.bad.append(lines.reject(str(error)))
                else:
                    num_lines = len(lines.recent)
                    if len(row) == width and lines.is_row():
                        chunk.lines.append(lines.number + 1 - num_lines)
                        text = text if num_lines == 1 else "".join(lines.recent)
                        chunk.texts.append(text)
                        chunk.rows.append(pick(row))
                    elif not text.isspace():
                        chunk.bad.append(lines.reject(_shape_problem(len(row), width, num_lines)))
                    lines.recent.clear()
                num_chars += len(text)
                if chunk.num_lines >= size or (chunk.num_lines and num_chars > MAX_TAKEN_CHARS):
                    break
            return num_chars

        return read

    def _object_reader(self, names: Sequence[str], optional: Sequence[str]) -> Callable[[Chunk, int], None]:
        for name in names:
            if name.split(".")[0] not in self.columns and name not in self.columns:
                raise missing_column(self.name, name, self.columns)
        all_names = [*names, *optional]

        def read(chunk: Chunk, size: int) -> None:
            num_chars = 0
            for text in self._lines:
                if not text.isspace():
                    try:
                        values = self._object(text)
                    except (ValueError, RecursionError) as error:
                        chunk.bad.append(self._lines.reject(f"{error}"))
                    else:
                        chunk.lines.append(self._lines.number)
                        chunk.texts.append(text)
                        chunk.rows.append([value_at(values, name) for name in all_names])
                self._lines.recent.clear()
                num_chars += len(text)
                if chunk.num_lines >= size or (chunk.num_lines and num_chars > MAX_CHUNK_CHARS):
                    return

        return read

    def _index(self, name: str) -> int:
        if self.columns.count(name) != 1:
            hint = f"; split at {self._delimiter!r} (--delimiter names another)" if len(self.columns) == 1 else ""
            raise missing_column(self.name, name, self.columns, hint)
        return self.columns.index(name)

    def _is_decoded(self, text: str) -> bool:
        """Whether a line of a UTF-8 file holds no undecodable bytes; other encodings decide for themselves."""
        return text.isascii() or not self._is_strict or _is_text(text)

    def _plain_rows(self, texts: Sequence[str], width: int) -> list[list[str]]:
        """The values of lines that are one good row each, in a third of the time; none if any must be looked at."""
        joined = "".join(texts)
        if (self._quoted and '"' in joined) or not self._is_decoded(joined):
            return []
        rows = [text.rstrip("\r\n").split(self._delimiter) for text in texts]
        return rows if {width}.issuperset(map(len, rows)) else []

    def _values(self, text: str) -> list[str]:
        """The values of a line, and of the following ones if a quote continues. Lines without quotes are split."""
        if not self._is_decoded(text):
            raise csv.Error(NOT_UTF8)
        if self._quoted and '"' in text:
            return self._quoted_values(text)
        return text.rstrip("\r\n").split(self._delimiter)

    def _quoted_values(self, text: str) -> list[str]:
        try:
            values = next(csv.reader(self._lines.of_row(text), delimiter=self._delimiter))
        except csv.Error as error:
            msg = f"{error}; check its quotes"
            raise csv.Error(msg) from None
        if len(self._lines.recent) > 1:
            self._check_closed()
        return values

    def _check_closed(self) -> None:
        """The csv module takes the end of a file for the end of a quote, too."""
        try:
            next(csv.reader(self._lines.recent, delimiter=self._delimiter, strict=True))
        except csv.Error:
            raise csv.Error(OPEN_QUOTE) from None

    def _object(self, text: str) -> dict[str, Any]:
        if not self._is_decoded(text):
            raise ValueError(NOT_UTF8)
        value = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(value, dict):
            msg = f"wanted a JSON object, got {shorten(value)}"
            raise ValueError(msg)
        return value

    def _header(self) -> tuple[str, ...]:
        """The names of the columns; finds the delimiter. Without a header they are numbered from 1."""
        text = next(self._lines, "")
        if text.lower().startswith("sep=") and (named := text[4:].rstrip("\r\n")):
            self._delimiter, text = self._format.delimiter or named, next(self._lines, "")
        elif self._format.delimiter is None:
            self._delimiter = _delimiter(text, self._format.default_delimiter)
        # In tab-separated files a quote is just a quote; the csv module knows delimiters of one character only.
        self._quoted = len(self._delimiter) == 1 and (self._delimiter, self._format.default_delimiter) != ("\t", "\t")
        try:
            row = self._values(text)
        except csv.Error as error:
            msg = f"{self.name}: its first line is no header of column names ({error})"
            raise InvalidInput(msg) from None
        if not any(row):
            msg = f"{self.name}: wanted a first line with the names of the columns, got none"
            raise InvalidInput(msg)
        if not self._format.has_header:
            self._lines.put_back(list(self._lines.recent))
            return tuple(str(number) for number in range(1, len(row) + 1))
        self._lines.recent.clear()
        return tuple(name.strip() for name in row)

    def _first_keys(self) -> tuple[str, ...]:
        """The keys of the first object, which is pushed back."""
        texts = self._lines.take(MAX_LINES_TRIED)
        if not texts:
            next(self._lines, "")  # raises what is wrong with the file
        self._lines.put_back(texts)
        for text in texts:
            with suppress(ValueError, RecursionError):
                return tuple(self._object(text))
        place = "in the array" if self._format.is_array else "per line"
        msg = f"{self.name}: wanted one JSON object {place}, found none in the first {len(texts)} lines"
        raise InvalidInput(msg)


def _delimiter(header: str, default: str) -> str:
    """The delimiter that occurs most often in a header; the default where it occurs, or where none does."""
    if default in header:
        return default
    best = max(DELIMITERS, key=header.count)
    return best if best in header else default


def _is_text(text: str) -> bool:
    """Whether the line holds no undecodable bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> Never:
    msg = f"{name} is no JSON; leave the value out"
    raise ValueError(msg)


def _shape_problem(num_values: int, width: int, num_lines: int) -> str:
    if num_lines > 1:
        return OPEN_QUOTE
    return f"has {num_values} values where the header names {width} columns"
