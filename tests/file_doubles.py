"""Readers of files that exist in memory only."""

from __future__ import annotations

import io

from core.imports.rows import FileFormat, plain_name
from storage.files.opening import ENDINGS, text_rows
from storage.files.text_rows import TextRows


def rows_of(name: str, content: bytes | str, file_format: FileFormat | None = None) -> TextRows:
    """The reader of a text file with this name and content."""
    data = content.encode() if isinstance(content, str) else content
    kind = ENDINGS.get(plain_name(name).rsplit(".", 1)[-1].lower(), "csv")
    return text_rows(name, io.BytesIO(data), file_format or FileFormat(), kind=kind, size=len(data))
