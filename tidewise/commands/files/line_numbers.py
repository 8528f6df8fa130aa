"""The lines of a file's events: a reader that knows from which line each event was made, and their order in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.events.interactions import Interaction
from core.imports.rows import Chunk, RowReader


class NumberedRows:
    """The rows of a reader, and the line of each event that `read_history` makes of them."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._lines: Iterator[int] = iter(())

    @property
    def name(self) -> str:
        """As the reader's."""
        return self._reader.name

    @property
    def size(self) -> int | None:
        """As the reader's."""
        return self._reader.size

    @property
    def bytes_read(self) -> int:
        """As the reader's."""
        return self._reader.bytes_read

    @property
    def columns(self) -> tuple[str, ...]:
        """As the reader's."""
        return self._reader.columns

    @property
    def description(self) -> str:
        """As the reader's."""
        return self._reader.description

    def chunks(self, names: Sequence[str], *, optional: Sequence[str] = (), size: int) -> Iterator[Chunk]:
        """As the reader's."""
        for chunk in self._reader.chunks(names, optional=optional, size=size):
            self._lines = self._good_lines(chunk)
            yield chunk

    def numbered(self, events: Iterable[Interaction]) -> Iterator[tuple[int, Interaction]]:
        """The events that are made of these rows, each with its line."""
        for event in events:
            yield next(self._lines), event

    @staticmethod
    def _good_lines(chunk: Chunk) -> Iterator[int]:
        """The lines of its events; runs after bad rows were rejected, when the first event comes."""
        bad = {line.line for line in chunk.bad}
        yield from (line for line in chunk.lines if line not in bad)
