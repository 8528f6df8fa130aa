"""Byte streams of files: unpacked (gzip, zstd) and decoded to text, by their first bytes.

Independent of lines and rows.
"""

from __future__ import annotations

import codecs
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from storage.files.duck import Unreadable, elements_of, lines_of

BUFFER_BYTES = 1 << 18
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}  # by the first bytes
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
PROBED_BYTES = 200
DAMAGES = (EOFError, zlib.error, gzip.BadGzipFile, Unreadable)
FREE_BYTES = 1 << 30  # may unpack to any multiple of their size
MAX_RATIO = 250  # beyond: logs unpack to 5 to 50 times their size, zeros to 1,000 (gzip) or 30,000 (zstd)


@dataclass(frozen=True, slots=True)
class UnpackedText:
    """Text in blocks, with the names of its compression ("" if none) and its encoding."""

    compression: str
    encoding: str
    _content: io.BufferedReader[Any] | gzip.GzipFile
    _packed: io.BufferedReader[Any]
    _max_bytes: float

    def __iter__(self) -> Iterator[str]:
        """The decoded blocks; bytes that the encoding does not know become surrogate escapes. Raises `DAMAGES`."""
        errors = "replace" if self.encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        decode = codecs.getincrementaldecoder(self.encoding)(errors).decode
        num_bytes = 0
        while block := self._content.read1(BUFFER_BYTES):  # one read each: what comes before a damage is not lost
            num_bytes += len(block)
            if num_bytes > self._max_bytes:
                msg = f"it unpacks to more than {MAX_RATIO} times its size; if that is right, unpack it before"
                raise Unreadable(msg)
            yield decode(block)
        yield decode(b"", final=True)

    def close(self) -> None:
        """Close the streams."""
        self._content.close()
        self._packed.close()


def max_content_bytes(size: int) -> int:
    """How many bytes the contents of a packed file of so many bytes may have."""
    return max(FREE_BYTES, MAX_RATIO * size)


def unpacked(
    stream: io.RawIOBase, path: Path, encoding: str | None, *, size: int | None = None, is_array: bool = False
) -> UnpackedText:
    """The text of a file; `encoding`: None detects UTF-16 and takes UTF-8 otherwise. `size`: its bytes, if known.

    `is_array`: of a JSON array, as a line for each element.

    Raises one of `DAMAGES` where the compressed stream ends in its header, `InvalidInput` for an unknown encoding.
    """
    packed: io.BufferedReader[Any] = io.BufferedReader(stream, BUFFER_BYTES)
    try:
        codecs.lookup(encoding or "utf-8")
        compression, content = _decompressed(packed, path, is_array=is_array)
        head = content.peek(PROBED_BYTES)[:PROBED_BYTES]
        max_bytes = max_content_bytes(size) if compression and size else math.inf
        return UnpackedText(compression, _marked(head) or encoding or _guessed(head), content, packed, max_bytes)
    except LookupError:
        packed.close()
        msg = f"--encoding: unknown encoding {encoding!r}; wanted a name that Python knows, as utf-8, latin-1 or cp1252"
        raise InvalidInput(msg) from None
    except DAMAGES:
        packed.close()
        raise


def position(stream: io.RawIOBase) -> int:
    """The number of bytes read so far; 0 where the stream cannot tell."""
    with suppress(OSError, ValueError):
        return stream.tell()
    return 0


def _decompressed(
    packed: io.BufferedReader[Any], path: Path, *, is_array: bool
) -> tuple[str, io.BufferedReader[Any] | gzip.GzipFile]:
    magic = packed.peek(4)
    compression = next((name for start, name in COMPRESSIONS.items() if magic.startswith(start)), "")
    if is_array or compression == "zstd":
        lines = (elements_of if is_array else lines_of)(path, compression=compression or "uncompressed")
        return compression, io.BufferedReader(_LineStream(lines), BUFFER_BYTES)
    return compression, gzip.GzipFile(fileobj=packed) if compression else packed


def _marked(head: bytes) -> str | None:
    """The encoding of a byte order mark."""
    return next((name for mark, name in BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)


def _guessed(head: bytes) -> str:
    """UTF-16 without a mark has a zero in every other byte of ASCII characters."""
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > len(head) // 4 else "utf-8"


class _LineStream(io.RawIOBase):
    """Lines of bytes as one stream."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._rest or next(self._lines, b"")
        size = min(len(block), len(buffer))
        buffer[:size] = block[:size]
        self._rest = block[size:]
        return size
