"""Numbered lines of a byte stream, plain or gzipped, with push-back.

`core.imports.rows` parses them. Independent of the content of a line.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import BinaryIO

from core.errors import InvalidInput
from core.interactions import shorten

BLOCK_BYTES = 1 << 18  # read at once
MAX_INFLATED_BYTES = 1 << 22  # per compressed block, against decompression bombs
MAX_LINE_BYTES = 1 << 20  # longer lines are cut and become bad lines
GZIP_MAGIC = b"\x1f\x8b"
FORMATS = ("csv", "tsv", "jsonl")
ENDINGS = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl"}


class DamagedFile(InvalidInput):
    """The file is truncated or damaged; the message names the last line read."""


class _BrokenOff(Exception):
    """The compressed stream is truncated or damaged."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be used, with its raw bytes."""

    line: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class InputFile:
    """A stream to read, its name, its size if known, and its format if the name's suffix does not give it."""

    stream: BinaryIO
    name: str
    size: int | None = None
    format: str | None = None

    @property
    def plain_name(self) -> str:
        """The file name without folders and `.gz`, which stays the same after recompression."""
        return self.name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gz")

    @property
    def kind(self) -> str:
        """One of `FORMATS`, from `format` or the suffix; raises `InvalidInput` otherwise."""
        kind = self.format or ENDINGS.get(self.plain_name.rsplit(".", 1)[-1].lower())
        if kind not in FORMATS:
            msg = f"{self.name}: wanted a format ({', '.join(FORMATS)}), got {shorten(kind)}; name it (--format)"
            raise InvalidInput(msg)
        return kind


class Blocks:
    """The bytes of a file, decompressed if gzipped. `bytes_read`: bytes of the file itself."""

    def __init__(self, stream: BinaryIO) -> None:
        self.bytes_read = 0
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
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

    def _read(self) -> bytes:
        block = self._stream.read(BLOCK_BYTES)
        self.bytes_read += len(block)
        return block


class Lines:
    """Numbered lines of text. `recent`: the lines of the current row, until it is accepted or rejected."""

    def __init__(self, name: str, blocks: Iterable[bytes]) -> None:
        self.number = 0
        self.recent: list[str] = []
        self._name = name
        self._lines = _split(blocks)
        self._pushed_back: list[str] = []

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        try:
            text = self._pushed_back.pop() if self._pushed_back else next(self._lines)
        except _BrokenOff as error:
            msg = f"{self._name}: {error} after line {self.number}; get the whole file and import it again"
            raise DamagedFile(msg) from None
        self.number += 1
        self.recent.append(text)
        return text

    def reject(self, reason: str) -> BadLine:
        """Reject the first line of the row; its other lines are pushed back."""
        first, *others = self.recent
        self.put_back(others)
        return BadLine(self.number, reason, raw_bytes(first))

    def put_back(self, texts: Sequence[str]) -> None:
        """Push lines back."""
        self._pushed_back.extend(reversed(texts))
        self.number -= len(texts)
        self.recent.clear()


def _split(blocks: Iterable[bytes]) -> Iterator[str]:
    """Split blocks into lines with their ends; bytes that are not UTF-8 become surrogate escapes."""
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


def raw_bytes(text: str) -> bytes:
    """The bytes of a line as in the file."""
    return text.rstrip("\r\n").encode(errors="surrogateescape")
