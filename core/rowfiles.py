"""Rows out of CSV, TSV and JSON-lines files, plain or gzipped, with line numbers: a bad line is reported, never fatal.

Knows nothing about interactions or items; `core.importing` and `core.item_files` give rows their meaning. Reads any
binary stream block by block, so that a file may be larger than memory.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import chain, islice
from operator import itemgetter
from typing import Any, BinaryIO, Never

from core.errors import InvalidInput
from core.interactions import shorten

BLOCK_BYTES = 1 << 18  # read at once
MAX_INFLATED_BYTES = 1 << 22  # out of one compressed block: a small file cannot fill the memory
MAX_LINE_BYTES = 1 << 20  # what is longer is cut, so that it is a bad line and no more
GZIP_MAGIC = b"\x1f\x8b"
FORMATS = ("csv", "tsv", "jsonl")
ENDINGS = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl"}
MAX_COLUMNS_SHOWN = 50
MAX_LINES_TRIED = 1000  # before a file counts as holding no JSON at all


class DamagedFile(InvalidInput):
    """The file breaks off or is damaged; the message names the line reached. All before it was read."""


class _BrokenOff(Exception):
    """The compressed stream ends too early or makes no sense; the message says which."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that could not be used, as it stands in the file."""

    line: int
    reason: str
    raw: bytes


@dataclass(slots=True)
class Chunk:
    """Some rows: for each its line number, its text and the values asked for; and the lines that are no rows."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    rows: list[Sequence[Any]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)

    @property
    def num_lines(self) -> int:
        """Rows and bad lines; call it before any row is rejected."""
        return len(self.rows) + len(self.bad)

    def reject(self, row: int, reason: str) -> None:
        """Count a row among the bad lines; it stays in its place."""
        self.bad.append(BadLine(self.lines[row], reason, _raw(self.texts[row])))


@dataclass(frozen=True, slots=True)
class InputFile:
    """A stream to read, its name (which says the format, unless `format` does), and its size where that is known."""

    stream: BinaryIO
    name: str
    size: int | None = None
    format: str | None = None

    @property
    def plain_name(self) -> str:
        """The name without folders and without what compression adds: recompressing a file changes nothing."""
        return self.name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gz")

    @property
    def kind(self) -> str:
        """One of `FORMATS`; raises `InvalidInput` where neither the name nor the caller says it."""
        found = self.format or ENDINGS.get(self.plain_name.rsplit(".", 1)[-1].lower())
        if found not in FORMATS:
            msg = f"{self.name}: wanted a format ({', '.join(FORMATS)}), got {shorten(found)}; name it (--format)"
            raise InvalidInput(msg)
        return found


class RowReader:
    """The rows of one file. `columns`: the names in its header, or the keys of its first object.

    `multiline`: whether a quoted value may hold line breaks. Where it may not, a stray quote costs its own line only.
    """

    def __init__(self, source: InputFile, *, multiline: bool = False) -> None:
        self.source = source
        self.bytes_read = 0
        self._multiline = multiline
        self._lines = _Lines(source.name, self._inflated())
        self._is_json = source.kind == "jsonl"
        self._delimiter = "\t" if source.kind == "tsv" else ","
        self._quoted = source.kind == "csv"  # in TSV a quote is just a quote
        self.columns = self._first_keys() if self._is_json else self._header()

    def chunks(self, names: Sequence[str], *, optional: Sequence[str] = (), size: int) -> Iterator[Chunk]:
        """All rows, `size` at a time, with the values of `names`, then of `optional` (None where an object has none).

        Raises `InvalidInput` where the file has no such column, and `DamagedFile` after the last row it could read.
        """
        wanted = [*names, *optional]
        places = self._places(names if self._is_json else wanted)
        while True:
            chunk = Chunk()
            try:
                if self._is_json:
                    self._read_objects(chunk, wanted, size)
                else:
                    self._read_table(chunk, places, size)
            except DamagedFile:
                yield chunk
                raise
            if not chunk.num_lines:
                return
            yield chunk

    def _places(self, names: Sequence[str]) -> list[int]:
        for name in names:
            if self.columns.count(name) != 1:
                problem = "has more than one column" if name in self.columns else "has no column"
                had = ", ".join(shorten(column) for column in self.columns[:MAX_COLUMNS_SHOWN])
                msg = f"{self.source.name} {problem} {shorten(name)}; its columns are {had}"
                raise InvalidInput(msg)
        return [self.columns.index(name) for name in names]

    def _read_table(self, chunk: Chunk, places: Sequence[int], size: int) -> None:
        lines, width = self._lines, len(self.columns)
        pick = itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)
        for text in lines:
            try:
                row = self._values(text)
            except csv.Error as error:
                chunk.bad.append(lines.reject(f"{error}; check its quotes"))
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
        """The values of a line, and of those after it where a quote goes on. Without quotes, splitting is enough."""
        if self._quoted and '"' in text:
            return next(csv.reader(chain((text,), self._lines)))
        return text.rstrip("\r\n").split(self._delimiter)

    def _read_objects(self, chunk: Chunk, names: Sequence[str], size: int) -> None:
        for text in self._lines:
            if not text.isspace():
                try:
                    found = _object(text)
                except (ValueError, RecursionError) as error:
                    chunk.bad.append(self._lines.reject(f"{error}"))
                else:
                    chunk.lines.append(self._lines.number)
                    chunk.texts.append(text)
                    chunk.rows.append([found.get(name) for name in names])
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
        """The keys of the first object, found without using it up."""
        passed: list[str] = []
        try:
            for text in islice(self._lines, MAX_LINES_TRIED):
                passed.append(text)
                try:
                    return tuple(_object(text))
                except (ValueError, RecursionError):
                    continue
        finally:
            self._lines.put_back(passed)
        msg = f"{self.source.name}: wanted one JSON object per line, found none in the first {len(passed)} lines"
        raise InvalidInput(msg)

    def _read(self) -> bytes:
        block = self.source.stream.read(BLOCK_BYTES)
        self.bytes_read += len(block)
        return block

    def _inflated(self) -> Iterator[bytes]:
        """The bytes of the file, decompressed where they begin like gzip."""
        block = self._read()
        if not block.startswith(GZIP_MAGIC):
            while block:
                yield block
                block = self._read()
            return
        member = zlib.decompressobj(wbits=31)
        while block:
            try:
                yield member.decompress(block, MAX_INFLATED_BYTES)
            except zlib.error as error:
                msg = f"the gzip stream is damaged ({error})"
                raise _BrokenOff(msg) from None
            if not member.eof:
                block = member.unconsumed_tail or self._read()
            elif block := member.unused_data.lstrip(b"\0") or self._read():
                member = zlib.decompressobj(wbits=31)
        if not member.eof:
            raise _BrokenOff("the gzip stream is truncated")


class _Lines:
    """Lines of text with their numbers. `recent`: the lines of the row being read, until it is accepted or rejected."""

    def __init__(self, name: str, blocks: Iterator[bytes]) -> None:
        self.number = 0
        self.recent: list[str] = []
        self._name = name
        self._lines = _split(blocks)
        self._again: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        try:
            text = self._again.pop() if self._again else next(self._lines)
        except _BrokenOff as error:
            msg = f"{self._name}: {error} after line {self.number}; get the whole file and import it again"
            raise DamagedFile(msg) from None
        self.number += 1
        self.recent.append(text)
        return text

    def reject(self, reason: str) -> BadLine:
        """The first line of the row as a bad one; those after it are read again, each on its own."""
        first, *others = self.recent
        self.put_back(others)
        return BadLine(self.number, reason, _raw(first))

    def put_back(self, texts: Sequence[str]) -> None:
        """Read these lines again."""
        self._again.extend(reversed(texts))
        self.number -= len(texts)
        self.recent.clear()


def _split(blocks: Iterator[bytes]) -> Iterator[str]:
    """Blocks as lines with their ends, whatever their encoding: bytes that are no UTF-8 become lone surrogates."""
    rest = b""
    first = True
    for block in blocks:
        joined = rest + (block.removeprefix(b"\xef\xbb\xbf") if first else block)
        first = False
        end = joined.rfind(b"\n") + 1
        yield from StringIO(joined[:end].decode(errors="surrogateescape"), newline="\n")
        rest = joined[end:][:MAX_LINE_BYTES]
    if rest:
        yield rest.decode(errors="surrogateescape")


def _raw(text: str) -> bytes:
    """The bytes that stand in the file."""
    return text.rstrip("\r\n").encode(errors="surrogateescape")


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(found, dict):
        msg = f"wanted a JSON object, got {shorten(found)}"
        raise ValueError(msg)
    return found


def _refuse_constant(name: str) -> Never:
    msg = f"{name} is no JSON; leave the value out"
    raise ValueError(msg)


def _shape_problem(num_values: int, width: int, num_lines: int) -> str:
    if num_lines > 1:
        return "a quote is opened and not closed; close or remove it"
    return f"has {num_values} values where the header names {width} columns"
