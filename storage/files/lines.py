"""Numbered lines of a text, with push-back. `storage.files.text_rows` parses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice

from core.imports.rows import BadLine, DamagedFile, raw_bytes
from storage.files.duck import Unreadable
from storage.files.unpacking import DAMAGES

MAX_LINE_CHARS = 1 << 20  # longer lines are cut and become bad lines
MAX_ROW_LINES = 1_000  # of one row whose quoted values have line breaks; its characters are limited as those of a line
MAX_TAKEN_CHARS = 1 << 22  # of lines that are taken together: split into many short values they take 20 times that


class Lines:
    """Numbered lines. `recent`: the lines of the current row, until it is accepted or rejected."""

    def __init__(self, name: str, blocks: Iterable[str]) -> None:
        self.number = 0
        self.recent: list[str] = []
        self._name = name
        self._lines = _split(blocks)
        self._pushed_back: list[str] = []
        self._damage: DamagedFile | None = None  # after the lines that were taken

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        try:
            text = self._pushed_back.pop() if self._pushed_back else next(self._lines)
        except DAMAGES as error:
            raise damaged(self._name, error, self.number) from None
        except StopIteration:
            if self._damage is not None:
                raise self._damage from None
            raise
        self.number += 1
        self.recent.append(text)
        return text

    def take(self, num: int) -> list[str]:
        """The next lines without noting them: `num`, or fewer: long ones, at the end, before a damage, if put back."""
        if self._pushed_back:
            return []
        texts: list[str] = []
        num_chars = 0
        try:
            for text in islice(self._lines, num):
                texts.append(text)
                num_chars += len(text)
                if num_chars > MAX_TAKEN_CHARS:
                    break
        except DAMAGES as error:
            self._damage = damaged(self._name, error, self.number + len(texts))
        self.number += len(texts)
        return texts

    def of_row(self, first: str) -> Iterator[str]:
        """The lines of a row that begins with `first`, read as they are needed, and one beyond a limit."""
        yield first
        num_chars = len(first)
        for text in islice(self, MAX_ROW_LINES):
            yield text
            num_chars += len(text)
            if num_chars > MAX_LINE_CHARS:
                return

    def is_row(self) -> bool:
        """Whether the lines of the current row are within the limits."""
        num_lines = len(self.recent)
        return num_lines == 1 or (num_lines <= MAX_ROW_LINES and sum(map(len, self.recent)) <= MAX_LINE_CHARS)

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


def damaged(name: str, error: Exception, line: int) -> DamagedFile:
    """The error of a file that ends early or cannot be read on."""
    if isinstance(error, Unreadable):
        return DamagedFile(f"{name}: cannot be read after line {line} ({error}); check the file and import it again")
    problem = "truncated" if isinstance(error, EOFError) else f"damaged ({error})"
    return DamagedFile(
        f"{name}: the gzip stream is {problem} after line {line}; get the whole file and import it again"
    )


def _split(blocks: Iterable[str]) -> Iterator[str]:
    """Blocks of text as lines with their ends."""
    rest = ""
    for block in blocks:
        joined = rest + block
        end = joined.rfind("\n") + 1
        yield from StringIO(joined[:end], newline="\n")
        rest = joined[end:][:MAX_LINE_CHARS]
    if rest:
        yield rest
