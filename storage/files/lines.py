"""Numbered lines of a text, with push-back. `storage.files.text_rows` parses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice

from core.imports.rows import BadLine, DamagedFile, raw_bytes
from storage.files.unpacking import DAMAGES

MAX_LINE_CHARS = 1 << 20  # longer lines are cut and become bad lines


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
        """The next lines, at most `num`, without noting them; fewer at the end, before a damage, or if put back."""
        if self._pushed_back:
            return []
        texts: list[str] = []
        try:
            texts.extend(islice(self._lines, num))  # keeps those before an error
        except DAMAGES as error:
            self._damage = damaged(self._name, error, self.number + len(texts))
        self.number += len(texts)
        return texts

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
    """The error of a compressed stream that ends early or cannot be unpacked."""
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
