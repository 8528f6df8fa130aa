"""Vectors of items in a folder: by item id the hash of its content, by hash the vector. Independent of contents.

    collection.json   layout, the describer's fingerprint, the length of the vectors
    rows.jsonl        one line for each row, in their order: the hash of a content, or why it could not be described
    vectors.f32       the rows: float32, little endian; zeros where there is a fault
    items.json        item id to hash, replaced as a whole

Rows are only ever appended, vectors before their lines, so that a killed run goes on where it was and readers need no
lock. Equal contents share a row. Another describer's vectors never mix with these: they replace them as a whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.errors import InvalidInput, plain_reason

LAYOUT = 1
COLLECTION, ROWS, VECTORS, ITEMS = "collection.json", "rows.jsonl", "vectors.f32", "items.json"
DTYPE = np.dtype("<f4")


@dataclass(frozen=True)
class Collection:
    """The vectors of a folder at one moment."""

    folder: Path
    fingerprint: str
    size: int
    items: Mapping[str, str]  # item id -> hash
    rows: Mapping[str, int]  # hash -> row
    faults: Mapping[str, str]  # hash -> why there is no vector

    @classmethod
    def open(cls, folder: Path) -> Collection:
        """What the folder holds; raises `InvalidInput` where it is no such folder."""
        try:
            about = json.loads((folder / COLLECTION).read_bytes())
            if about["layout"] != LAYOUT:
                raise KeyError("layout")
            items = json.loads((folder / ITEMS).read_bytes()) if (folder / ITEMS).exists() else {}
            rows, faults = _rows(folder)
            return cls(folder, str(about["fingerprint"]), int(about["size"]), items, rows, faults)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = plain_reason(error) if isinstance(error, OSError) else repr(error)
            msg = f"{folder}: wanted a folder made by `tidewise features`, got {reason}; run that first"
            raise InvalidInput(msg) from None

    @cached_property
    def _memory(self) -> FloatArray:
        """(rows, size) mapped from the disk: only the requested rows are read."""
        num_rows = len(self.rows) + len(self.faults)
        if not num_rows:
            return np.empty((0, self.size), DTYPE)
        return np.memmap(self.folder / VECTORS, DTYPE, "r", shape=(num_rows, self.size))

    def hashes(self, item_ids: Sequence[str]) -> list[str | None]:
        """For each item the hash of its content, None where there is no vector."""
        keys = (self.items.get(item_id) for item_id in item_ids)
        return [key if key in self.rows else None for key in keys]

    def vectors(self, hashes: Sequence[str]) -> FloatArray:
        """(n, size) vectors of contents that have one."""
        return np.asarray(self._memory[[self.rows[key] for key in hashes]], np.float32)


def stamp(folder: Path) -> tuple[int, ...]:
    """What a folder's collection looked like from outside: changes whenever its items are replaced."""
    try:
        status = (folder / ITEMS).stat()
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _rows(folder: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Rows by hash and faults by hash; a line cut off by a crash ends them."""
    rows: dict[str, int] = {}
    faults: dict[str, str] = {}
    for number, line in enumerate(_whole_lines(folder)):
        entry: dict[str, Any] = json.loads(line)
        if "fault" in entry:
            faults[entry["hash"]] = entry["fault"]
        else:
            rows[entry["hash"]] = number
    return rows, faults


def _whole_lines(folder: Path) -> list[bytes]:
    path = folder / ROWS
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1].splitlines()


class CollectionWriter:
    """Appends to a folder; one at a time."""

    def __init__(self, folder: Path, *, fingerprint: str, size: int) -> None:
        self._folder, self._size = folder, size
        _prepare(folder, {"layout": LAYOUT, "fingerprint": fingerprint, "size": size})
        rows, faults = _rows(folder)
        self.known = set(rows) | set(faults)
        self._repair(len(self.known))

    def _repair(self, num_rows: int) -> None:
        """Cut off what a killed run left behind the last whole line."""
        num_bytes = sum(len(line) + 1 for line in _whole_lines(self._folder))
        for name, wanted in ((ROWS, num_bytes), (VECTORS, num_rows * self._size * DTYPE.itemsize)):
            with (self._folder / name).open("ab") as file:
                file.truncate(wanted)

    def append(self, hashes: Sequence[str], vectors: FloatArray, faults: Mapping[int, str]) -> None:
        """Keep the vectors of contents that are not known yet; `faults`: by row, why there is none."""
        assert vectors.shape == (len(hashes), self._size)
        lines = [
            json.dumps({"hash": key, "fault": faults[row]} if row in faults else {"hash": key})
            for row, key in enumerate(hashes)
        ]
        _append(self._folder / VECTORS, np.ascontiguousarray(vectors, DTYPE).tobytes())
        _append(self._folder / ROWS, "".join(f"{line}\n" for line in lines).encode())
        self.known.update(hashes)

    def save_items(self, items: Mapping[str, str]) -> None:
        """Replace the hashes of items."""
        _replace(self._folder / ITEMS, json.dumps(items, ensure_ascii=False).encode())


def _prepare(folder: Path, about: Mapping[str, Any]) -> None:
    """The folder for vectors of this kind; those of another kind are removed."""
    path = folder / COLLECTION
    wanted = json.dumps(about).encode()
    if path.exists() and path.read_bytes() == wanted:
        return
    if folder.exists():
        if any(folder.iterdir()) and not path.exists():
            msg = f"{folder}: wanted an empty folder or one made by `tidewise features`, got others; choose another"
            raise InvalidInput(msg)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    _replace(path, wanted)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def names_in(folder: Path) -> list[str]:
    """The collections that lie under a folder."""
    return sorted(path.parent.name for path in folder.glob(f"*/{COLLECTION}"))
