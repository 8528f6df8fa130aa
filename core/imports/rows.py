"""Rows of files, as a reader delivers them: values by column, line numbers, and bad lines.

The readers of `storage/files/` implement `RowReader`. Independent of formats, interactions and items.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.errors import InvalidInput
from core.events.interactions import shorten

MAX_COLUMNS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class FileFormat:
    """The format of a file as the user gives it; None: detected from its name, first bytes and header."""

    format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool = True


class DamagedFile(InvalidInput):
    """The file is truncated or damaged; the message names the last line read."""


class MissingColumn(InvalidInput):
    """The file has no such column, or more than one of its name."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be used, with its raw bytes."""

    line: int
    reason: str
    raw: bytes


@dataclass(slots=True)
class Chunk:
    """Rows with their line numbers, raw texts (or values) and selected values, and the bad lines."""

    lines: list[int] = field(default_factory=list)
    texts: list[object] = field(default_factory=list)
    rows: list[Sequence[Any]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)

    @property
    def num_lines(self) -> int:
        """The number of rows and bad lines; call it before any row is rejected."""
        return len(self.rows) + len(self.bad)

    def reject(self, row: int, reason: str) -> None:
        """Add a row to the bad lines; it stays in `rows`."""
        self.bad.append(BadLine(self.lines[row], reason, raw_bytes(self.texts[row])))


class RowReader(Protocol):
    """The rows of one file."""

    @property
    def name(self) -> str:
        """The path as given."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes of the file, if known."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far; an estimate where the file is read by columns."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in the header, or the keys of the first object."""
        ...

    @property
    def description(self) -> str:
        """What was detected: format, separator, encoding, compression."""
        ...

    def chunks(self, names: Sequence[str], *, optional: Sequence[str] = (), size: int) -> Iterator[Chunk]:
        """All rows in chunks of `size`, with the values of `names`, then of `optional` (None if an object has none).

        A name may be a path into nested values (`user.id`). A quoted value may contain line breaks; a quote that is not
        closed affects only its own line. Raises `InvalidInput` if the file has no such column, and
        `DamagedFile` after the last readable row.
        """
        ...


def plain_name(name: str) -> str:
    """The file name without folders and compression, which stays the same after recompression."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gz").removesuffix(".zst")


def raw_bytes(text: object) -> bytes:
    """The bytes of a line as in the file; of a row without lines, its values as JSON."""
    if isinstance(text, str):
        return text.rstrip("\r\n").encode(errors="surrogateescape")
    return json.dumps(text, default=str, ensure_ascii=False).encode()


def missing_column(name: str, column: str, columns: Sequence[str], hint: str = "") -> MissingColumn:
    """The error of a column that the file has not, or more than once."""
    problem = "has more than one column" if column in columns else "has no column"
    existing = ", ".join(shorten(existing) for existing in columns[:MAX_COLUMNS_SHOWN])
    return MissingColumn(f"{name} {problem} {shorten(column)}; its columns are {existing}{hint}")
