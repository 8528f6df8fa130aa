"""A catalogue as arrays, and back: columns of numbers as they are, others packed.

The catalogue that is read from arrays shares them: a value is decoded when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from core.catalogue.columns import Column
from core.catalogue.items import Catalogue
from core.ports.array_folders import Arrays
from core.saved_snapshots.packed_columns import PackedColumn, as_is, packed

NUMERIC = ("keys", "listed", "created_ms", "content_revisions", "limits")
NOTHING: Mapping[str, Any] = {}  # shared by all items without attributes


def _categories(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


def _attributes(text: str) -> Mapping[str, Any]:
    return json.loads(text) if text else NOTHING


def _packed_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


PACKED: Mapping[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "item_ids": (as_is, as_is),
    "titles": (as_is, as_is),
    "texts": (as_is, as_is),
    "categories": (_packed_json, _categories),
    "attributes": (_packed_json, _attributes),
}


def arrays_of(catalogue: Catalogue) -> Arrays:
    """The arrays of a catalogue with all columns."""
    arrays = {name: getattr(catalogue, name) for name in NUMERIC}
    for name, (encode, _) in PACKED.items():
        arrays[name], arrays[f"{name}_ends"] = packed(getattr(catalogue, name), encode)
    return arrays


def catalogue_of(arrays: Arrays, revision: int) -> Catalogue:
    """The catalogue at a revision whose `arrays_of` these are."""
    columns: dict[str, Any] = {name: arrays[name] for name in NUMERIC}
    for name, (_, decode) in PACKED.items():
        columns[name] = Column.of(PackedColumn(arrays[name], arrays[f"{name}_ends"], decode))
    return Catalogue(revision=revision, **columns)
