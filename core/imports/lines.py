"""Numbered lines out of a stream of bytes, plain or gzipped; they can be taken back and read again one by one.

Independent of what a line holds; `core.imports.rows` makes rows of them.
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
MAX_INFLATED_BYTES = 1 << 22  # out of one compressed block: a small file cannot fill the memory
MAX_LINE_BYTES = 1 << 20  # what is longer is cut, so that it is a bad line and no more
GZIP_MAGIC = b"\x1f\x8b"
FORMATS = ("csv", "tsv", "jsonl")
ENDINGS = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl"}


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


class Blocks:
    """The bytes of a file, decompressed where they begin like gzip. `bytes_read` counts those of the file itself."""

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
    """Lines of text with their numbers. `recent`: the lines of the row being read, until it is accepted or rejected."""

    def __init__(self, name: str, blocks: Iterable[bytes]) -> None:
        self.number = 0
        self.recent: list[str] = []
        self._name = name
        self._lines = _split(blocks)
        self._again: list[str] = []

    def __iter__(self) -> Lines:
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
        return BadLine(self.number, reason, raw_bytes(first))

    def put_back(self, texts: Sequence[str]) -> None:
        """Read these lines again."""
        self._again.extend(reversed(texts))
        self.number -= len(texts)
        self.recent.clear()


def _split(blocks: Iterable[bytes]) -> Iterator[str]:
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


def raw_bytes(text: str) -> bytes:
    """The bytes that stand in the file."""
    return text.rstrip("\r\n").encode(errors="surrogateescape")
