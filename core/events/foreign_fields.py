"""Fields of foreign events: dotted paths to nested values.

One rule for messages of Kafka and for rows of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def value_at(record: Mapping[str, Any], path: str) -> object:
    """The value at a dotted path; None where the path ends early. A key that contains the dots takes precedence."""
    if path in record:
        return record[path]
    value: object = record
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
