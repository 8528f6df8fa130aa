"""Files that commands write: a file appears when it is complete, and a failure is a message with what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import InvalidInput, plain_reason


def check_folder(path: Path) -> None:
    """Raise `InvalidInput` where the folder of a file to write is missing, before hours of work are lost."""
    if not path.parent.is_dir():
        raise _unwritable(path, "no such folder")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to, which replaces the file at the end of the block; raises `InvalidInput` where it cannot."""
    check_folder(path)
    try:
        if path.exists() and not path.is_file():  # as /dev/stdout, which cannot be replaced
            yield path
            return
        target = path.resolve()
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            yield part
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, plain_reason(error)) from None


def write_text(path: Path, text: str) -> None:
    """Write a file of text, whole or not at all; raises `InvalidInput`."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def _unwritable(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(f"{path}: cannot be written ({reason}); check the folder and its free space")
