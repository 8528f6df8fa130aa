"""Opens files of rows: the format by name or first bytes, and the reader for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import RawIOBase
from pathlib import Path

from core.errors import InvalidInput, plain_reason
from core.events.interactions import shorten
from core.imports.rows import FileFormat, RowReader, plain_name
from storage.files.parquet_rows import ParquetRows
from storage.files.text_rows import TextFormat, TextRows
from storage.files.unpacking import DAMAGES, unpacked

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet")
ENDINGS = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet"}
PARQUET_MAGIC = b"PAR1"
BINARY_MAGICS = (b"PK", b"\xd0\xcf", b"%PDF", b"SQLite")


@contextmanager
def open_rows(path: Path, file_format: FileFormat | None = None) -> Iterator[RowReader]:
    """The reader of a file's rows; raises `InvalidInput` where it cannot be opened or its format is unknown."""
    file_format = file_format or FileFormat()
    if path.exists() and not (path.is_file() or path.is_dir()):
        # A pipe can be read only once, and formats and units are found by a first look; to open it may take for ever.
        msg = f"{path}: wanted a file, got a pipe or a device; write its contents into a file first"
        raise InvalidInput(msg)
    try:
        stream = path.open("rb", buffering=0)
        size = path.stat().st_size
    except OSError as error:
        msg = f"{path}: cannot be read ({plain_reason(error)}); check the path and its permissions"
        raise InvalidInput(msg) from None
    with stream:
        kind = _kind(path, file_format)
        if kind == "parquet":
            yield ParquetRows(path)
            return
        with closing(text_rows(str(path), stream, file_format, kind=kind, size=size)) as reader:
            yield reader


def text_rows(name: str, stream: RawIOBase, file_format: FileFormat, *, kind: str, size: int | None = None) -> TextRows:
    """The reader of a text: "csv", "tsv", "jsonl" or "json"."""
    text_format = TextFormat(
        is_json=kind in ("jsonl", "json"),
        is_array=kind == "json",
        delimiter=_unescaped(file_format.delimiter),
        default_delimiter="\t" if kind == "tsv" else ",",
        encoding=file_format.encoding,
        has_header=file_format.has_header,
    )
    return TextRows(name, stream, text_format, size=size)


def _kind(path: Path, file_format: FileFormat) -> str:
    """One of `FORMATS`: as given, by the name, or by the first bytes."""
    if file_format.format is not None:
        if file_format.format not in FORMATS:
            raise _unknown(path, file_format.format)
        return file_format.format
    ending = plain_name(path.name).rsplit(".", 1)[-1].lower()
    return ENDINGS.get(ending) or _kind_of_content(path)


def _kind_of_content(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        magic = stream.read(8)
    if magic.startswith(PARQUET_MAGIC):
        return "parquet"
    if magic.startswith(BINARY_MAGICS):
        raise _unknown(path, plain_name(path.name))
    try:
        with path.open("rb", buffering=0) as stream, closing(unpacked(stream, path, "latin-1")) as content:
            text = next(iter(content)).lstrip("\xef\xbb\xbf \t\r\n")
    except DAMAGES:
        return "csv"  # whose reader says what is wrong
    return {"{": "jsonl", "[": "json"}.get(text[:1], "csv")


def _unknown(path: Path, kind: str) -> InvalidInput:
    return InvalidInput(
        f"{path}: wanted a format ({', '.join(FORMATS)}), got {shorten(kind)}; "
        "name it (--format), or export the file as one of them"
    )


def _unescaped(delimiter: str | None) -> str | None:
    """A delimiter as typed in a shell: a backslash and a t are a tab."""
    return {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter) if delimiter else None
